"""Wheels of the Python clients in an environment without this repository: types, documented examples and an order.

Opt-in (`make test-clients`), because it needs generators that no other command installs.
"""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from codegen import contracts, python_clients
from tests.clients.programs import DRIVERS, PYTHON, assert_result, run
from tests.conftest import ROOT, Mesh, shift_port
from tests.docs import steps

FOREIGN_PACKAGES = ("codegen", "deploy", "generated", "services", "tests")
"""Packages of this repository."""

CHECKED_TYPES = ("types-grpcio", "types-protobuf")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the wheels for REST and gRPC."""
    folder = tmp_path_factory.mktemp("dist")
    python_clients.build_wheels(contracts.load(ROOT), folder)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def folder(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a virtual environment `.venv` that contains the clients and their dependencies only."""
    folder = tmp_path_factory.mktemp("client")
    run(["uv", "venv", "-q", "--python", PYTHON, ".venv"], folder)
    # Offline: the packages are in the cache since the set-up of this repository.
    install = ["uv", "pip", "install", "-q", "--offline", "--python", ".venv/bin/python"]
    run([*install, "-c", ROOT / "requirements/dev.txt", *wheels, *CHECKED_TYPES], folder)
    return folder


@pytest.fixture
def environment(mesh: Mesh, folder: Path) -> dict[str, str]:
    """Return the environment of a program: the virtual environment, and addresses and an account of the mesh."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return variables | {
        "PATH": f"{folder / '.venv/bin'}:{os.environ['PATH']}",
        "API_URL": f"{mesh.edge_url}/api/v1",
        "RPC_TARGET": f"127.0.0.1:{shift_port(15000)}",
    }


def check_types(folder: Path, *files: str) -> None:
    """Check the types of programs against those of the installed clients."""
    run([PYTHON, "-m", "mypy", "--strict", "--python-executable", ".venv/bin/python", *files], folder)


def test_wheels_contain_typed_packages_without_code_of_the_repository(wheels: list[Path]) -> None:
    version = contracts.load(ROOT).openapi["delivery"]["info"]["version"]
    packages = {f"delivery_client-{version}": "delivery_client", f"delivery_rpc-{version}": "delivery"}
    assert [path.name for path in wheels] == [f"{name}-py3-none-any.whl" for name in packages]
    for path, (name, package) in zip(wheels, packages.items(), strict=True):
        files = zipfile.ZipFile(path).namelist()
        assert f"{package}/py.typed" in files
        assert {file.split("/")[0] for file in files} == {package, f"{name}.dist-info"}


def test_environment_contains_nothing_of_the_repository(folder: Path) -> None:
    program = f"import importlib.util as u; print([name for name in {FOREIGN_PACKAGES} if u.find_spec(name)])"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [folder / ".venv/bin/python", "-c", program]
    output = subprocess.check_output(command, cwd=folder, env=environment, text=True, encoding="utf-8")
    assert output == "[]\n"


def test_examples_of_the_documentation_run(folder: Path, environment: Mapping[str, str]) -> None:
    steps.run_steps(ROOT / "docs/clients.md", folder, environment)
    check_types(folder, "menu.py", "catalog.py", "admin_token.py")


def test_rest_client_orders(folder: Path, environment: Mapping[str, str], customer: Mapping[str, str]) -> None:
    driver = shutil.copy(DRIVERS / "openapi_python_client.py", folder / "driver.py")
    check_types(folder, "driver.py")
    assert_result(run([folder / ".venv/bin/python", driver], folder, **environment, **customer))
