"""A copy of the repository to walk in, with a mesh of its own, on ports of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.walks import steps

OFFSET = 1300
LEFT_OUT = (".git", ".local", ".venv", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "htmlcov", "reports")
HIDDEN = ("DELIVERY_STATE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH")
"""Variables of this process that would lead a walk back to this repository."""


@dataclass(frozen=True)
class Walk:
    """A page that was walked: where its repository is, and where its mesh is reached."""

    root: Path
    environment: dict[str, str]
    edge: str = f"http://127.0.0.1:{8080 + OFFSET}"
    sandbox: str = f"http://127.0.0.1:{8090 + OFFSET}"

    def local(self, state: Path, *arguments: str) -> None:
        """Runs the local runner of the copy."""
        environment = self.environment | {"DELIVERY_STATE": str(state)}
        command = [str(self.root / ".venv/bin/python"), "-m", "deploy.local", *arguments]
        subprocess.run(command, cwd=self.root, env=environment, check=True, capture_output=True)


@contextmanager
def walk(page: str) -> Iterator[Walk]:
    """Walks a page of docs/ in a fresh copy, and takes down whatever it has booted."""
    with tempfile.TemporaryDirectory(prefix="walk-", dir="/tmp") as folder:
        root = Path(folder) / "delivery"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for shared in (".venv", "node_modules", ".local/uv", ".local/setup", ".local/codegen"):
            (root / shared).parent.mkdir(exist_ok=True)
            if (ROOT / shared).exists():
                (root / shared).symlink_to(ROOT / shared)
        kept = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        walked = Walk(root, kept | {"PORT_OFFSET": str(OFFSET)})
        try:
            steps.perform(ROOT / "docs" / page, root, walked.environment)
            yield walked
        finally:
            for state in (root / ".local", root / ".local/test"):
                walked.local(state, "down")
