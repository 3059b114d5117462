"""The local mesh of a user without root, in a folder with unusual characters, from a foreign environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.supervisor.supervisor_state import read_running_state
from tests.conftest import PORT_OFFSET, STATE_DIR
from tests.unprivileged_user import UNPRIVILEGED_PREFIX

FOREIGN_VARIABLES = {
    "ERL_AFLAGS": "+no_such_flag",
    "ERL_CRASH_DUMP": "erl_crash.dump",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "no_SUCH.ISO-8859-1",
    "NODE_OPTIONS": "--no-such-option",
    "PGOPTIONS": "-c no_such_setting=1",
    "PGSSLMODE": "verify-full",
    "PYTHONOPTIMIZE": "2",
    "RABBITMQ_LOG_BASE": "/nonexistent",
    "RABBITMQ_NODENAME": "foreign@localhost",
    "RABBITMQ_SERVER_ERL_ARGS": "+no_such_flag",
    "http_proxy": "http://127.0.0.1:9",
}
"""Variables of the caller that would stop or misdirect the processes."""


@dataclass(frozen=True)
class LocalMesh:
    """Running mesh, its user's home folder, and the names in the repository's root before its start."""

    config: MeshConfig
    home: Path
    root_names: set[str]

    def list_processes(self) -> list[psutil.Process]:
        state = read_running_state(self.config)
        assert state is not None
        return psutil.Process(state.pid).children(recursive=True)


@pytest.fixture(scope="module")
def local_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMesh]:
    """Return a mesh that a user without root and with a read-only home has started from a foreign environment."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o555)
    folder = STATE_DIR.absolute() / "own user, 50% #1"
    variables = {"DELIVERY_STATE": str(folder), "HOME": str(home), "PORT_OFFSET": str(PORT_OFFSET + 1500)}
    root_names = {path.name for path in ROOT.iterdir()}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*UNPRIVILEGED_PREFIX, sys.executable, "-m", "deploy.local", *arguments],
            cwd=ROOT,
            env=os.environ | FOREIGN_VARIABLES | variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    run("down")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        result = run("up")
        assert result.returncode == 0, result.stdout + result.stderr
        yield LocalMesh(MeshConfig(variables), home, root_names)
    finally:
        run("down")


def is_below(path: str, folders: tuple[Path, ...]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def test_mesh_serves_requests(local_mesh: LocalMesh) -> None:
    response = httpx.get(f"{local_mesh.config.edge_url}/api/v1/catalog", trust_env=False, timeout=10)
    assert response.raise_for_status().json()["items"]


def test_processes_write_only_below_the_state_folder(local_mesh: LocalMesh) -> None:
    allowed = (local_mesh.config.folder, local_mesh.config.socket_dir, Path("/dev"))
    for process in local_mesh.list_processes():
        written = [file.path for file in process.open_files() if file.mode not in ("r", "rt")]
        assert [path for path in [*written, process.cwd()] if not is_below(path, allowed)] == [], process.name()
    assert {path.name for path in ROOT.iterdir()} <= local_mesh.root_names | {"__pycache__"}
    assert [*local_mesh.home.iterdir()] == []


def test_processes_have_an_environment_of_their_own(local_mesh: LocalMesh) -> None:
    for process in local_mesh.list_processes():
        environment = process.environ()
        foreign = FOREIGN_VARIABLES | {"HOME": str(local_mesh.home)}
        inherited = {name for name, value in foreign.items() if environment.get(name) == value}
        assert inherited == set(), process.name()


def test_crash_dumps_are_written_below_the_state_folder(local_mesh: LocalMesh) -> None:
    environments = [process.environ() for process in local_mesh.list_processes()]
    paths = {value for each in environments if (value := each.get("ERL_CRASH_DUMP"))}
    assert paths
    assert [path for path in paths if not is_below(path, (local_mesh.config.folder,))] == []
