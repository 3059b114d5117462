"""`python -m deploy.static_analysis`: check manifests, Dockerfile and workflows with checkov and zizmor, offline.

checkov has an environment of its own, since its pins conflict with those of the project. It takes several seconds, so
it runs only if its input has changed since it last passed.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.kubernetes.check import OVERLAYS, render_overlay
from deploy.local.mesh_config import ROOT

CHECKOV = Path(".local/checkov/bin/checkov")
CONFIG_FILE = Path(".checkov.yaml")
SCANNED_FOLDERS = (Path(".github"), Path("deploy/containers"))
REQUIREMENTS_FILE = Path("requirements/checkov.txt")
STATE_DIR = Path(".local/static-analysis")
OFFLINE_ENVIRONMENT = {"CKV_SKIP_PACKAGE_UPDATE_CHECK": "true"}
"""Variables without which checkov queries its newest version."""

ZIZMOR_OPTIONS = ("--offline", "--no-progress", "--persona=pedantic", "--quiet")


def render_overlays(root: Path) -> Mapping[str, bytes]:
    """Return the manifests of each overlay by file name. Raises CalledProcessError."""
    return {
        f"{overlay.replace('/', '-')}.yaml": render_overlay(root / "deploy/kubernetes" / overlay).encode()
        for overlay in OVERLAYS
    }


def compute_checksum(root: Path, manifests: Mapping[str, bytes]) -> str:
    """Return the checksum of everything that the result of checkov depends on."""
    digest = hashlib.sha256()
    scanned = (path for folder in SCANNED_FOLDERS for path in sorted((root / folder).rglob("*")))
    files = [root / CONFIG_FILE, root / REQUIREMENTS_FILE, *(path for path in scanned if path.is_file())]
    contents = {str(path.relative_to(root)): path.read_bytes() for path in files if "__pycache__" not in path.parts}
    for name, content in {**contents, **manifests}.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def run_checkov(root: Path) -> int:
    """Run checkov if its input has changed since it last passed. Return its exit code."""
    state = root / STATE_DIR
    manifests = render_overlays(root)
    checksum, passed = compute_checksum(root, manifests), state / "passed"
    if passed.exists() and passed.read_text(encoding="utf-8") == checksum:
        return 0
    folder = state / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in manifests.items():
        (folder / name).write_bytes(content)
    folders = [f"--directory={path}" for path in (folder, *SCANNED_FOLDERS)]
    environment = {**os.environ, **OFFLINE_ENVIRONMENT}
    command = [str(root / CHECKOV), f"--config-file={CONFIG_FILE}", *folders]
    result = subprocess.run(
        command, cwd=root, env=environment, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    if result.returncode:
        print(result.stdout, result.stderr, sep="\n", file=sys.stderr)
    else:
        passed.write_text(checksum, encoding="utf-8")
    return result.returncode


def run_zizmor(root: Path) -> int:
    """Run zizmor on the workflows and the configuration of Dependabot. Return its exit code."""
    program = str(Path(sys.executable).with_name("zizmor"))
    command = [program, *ZIZMOR_OPTIONS, ".github"]
    result = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True, encoding="utf-8")
    if result.returncode:
        print(result.stdout, result.stderr, sep="\n", file=sys.stderr)
    return result.returncode


def main() -> int:
    """Run both. Return 1 if there are findings, else 0."""
    return 1 if any([run_zizmor(ROOT), run_checkov(ROOT)]) else 0


if __name__ == "__main__":
    sys.exit(main())
