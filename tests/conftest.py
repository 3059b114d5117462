"""The mesh that tests share: started once a session, in its own folder and on its own ports."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]
PORT_OFFSET = int(os.environ.setdefault("PORT_OFFSET", "2000"))
os.environ.setdefault("FAILED_ATTEMPTS_PER_ADDRESS", "1000000")  # all tests come from one address
os.environ.setdefault("ACCESS_LOG_PERCENT", "100")  # what must not stand in logs has every chance to
STATE_DIR = Path(os.environ.setdefault("DELIVERY_STATE", str(ROOT / ".local/test")))


def shift_port(default_port: int) -> int:
    """Where the tests' mesh has what the contract puts on this port."""
    return default_port + PORT_OFFSET


@dataclass(frozen=True)
class Mesh:
    """The two doors of a running mesh."""

    edge_url: str
    sandbox_url: str
    state_dir: Path


def run_local(*arguments: str) -> None:
    """Runs the local runner; what it says is shown when it fails."""
    command = [sys.executable, "-m", "deploy.local", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session", autouse=True)
def session_start() -> datetime:
    """When this run began."""
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def mesh() -> Mesh:
    """Everything, running."""
    run_local("up")
    return Mesh(f"http://127.0.0.1:{shift_port(8080)}", f"http://127.0.0.1:{shift_port(8090)}", STATE_DIR)


@pytest.fixture(scope="session")
def edge(mesh: Mesh) -> Iterator[httpx.Client]:
    """A client of the public API, without a token."""
    with httpx.Client(base_url=f"{mesh.edge_url}/api/v1", timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def sandbox(mesh: Mesh) -> Iterator[httpx.Client]:
    """A client of the outside world."""
    with httpx.Client(base_url=mesh.sandbox_url, timeout=20, trust_env=False) as client:
        yield client
