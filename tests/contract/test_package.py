"""Wheel of the project: its files, and the installed command `delivery`."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGED_FOLDERS = (
    "generated/asyncapi",
    "generated/envoy",
    "generated/openapi",
    "generated/rabbitmq",
    "migrations",
    "services",
)

LIST_PACKAGES = """
import sys
from importlib.metadata import packages_distributions
from codegen import artefacts, contracts
artefacts.build(contracts.REPOSITORY, ["envoy", "openapi"])
packages = packages_distributions()
print(*{package for name in sys.modules for package in packages.get(name, [])})
"""
"""Program that writes the artefacts of the image and prints the packages that it has imported."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_contains_code_and_data_of_services(wheel: Path) -> None:
    needed = {
        str(path.relative_to(ROOT))
        for folder in PACKAGED_FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "sandbox" not in path.parts
    } - {"migrations/check.py"}
    assert needed <= set(zipfile.ZipFile(wheel).namelist())


def test_wheel_contains_no_emulators_or_tools(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    unwanted = ("services/sandbox/", "deploy/local/", "codegen/", "tests/", "bench/", "generated/kubernetes/")
    assert [name for name in names if name.startswith(unwanted)] == []


def test_build_of_artefacts_imports_packages_of_services_only(tmp_path: Path) -> None:
    """The image build writes the artefacts in the environment of the services."""
    for name in ("api-specs", "codegen", "envoy", "generated"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'){LIST_PACKAGES}"]
    output = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    allowed = set(
        re.findall(r"^([\w-]+)==", (ROOT / "requirements/services.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    # setuptools is loaded in every process of an environment that contains it.
    imported = {re.sub(r"[-_.]+", "-", name).lower() for name in output.split()} - {"setuptools"}
    assert "pyyaml" in imported
    assert imported <= allowed


def test_installed_command_runs_outside_of_repository(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv/bin"
    # The dependencies are those of this environment, so that nothing is downloaded.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")}

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
        )

    install = run(programs / "python", "-m", "pip", "install", "--no-index", "--no-deps", wheel)
    assert install.returncode == 0, install.stderr
    assert "replay" in run(programs / "delivery", "dead-letters", "--help").stdout
    result = run(programs / "delivery", "dead-letters", "list")
    assert (result.returncode, result.stderr) == (1, "invalid environment:\n  BROKER_URL: Field required\n")
    location = run(programs / "python", "-c", "import services; print(services.__file__)").stdout
    assert Path(location).is_relative_to(tmp_path)
