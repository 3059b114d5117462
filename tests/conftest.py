"""Fixtures of the local mesh shared by all tests of a session, with its own state folder and ports."""

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
os.environ.setdefault("FAILED_ATTEMPTS_PER_ADDRESS", "1000000")  # all tests use one client address
os.environ.setdefault("RATE_LIMIT_FACTOR", "10000")
os.environ.pop("MONGODB_URL", None)  # each mesh starts its own MongoDB
os.environ.setdefault("ACCESS_LOG_PERCENT", "100")  # tests search the logs for personal data
STATE_DIR = Path(os.environ.setdefault("DELIVERY_STATE", str(ROOT / ".local/test")))


def shift_port(default_port: int) -> int:
    """Return the port of the tests' mesh for a default port."""
    return default_port + PORT_OFFSET


@dataclass(frozen=True)
class Mesh:
    """URLs and state folder of a running mesh."""

    edge_url: str
    sandbox_url: str
    state_dir: Path


def run_local(*arguments: str) -> None:
    """Run a command of the local runner. Raises AssertionError with its output if it fails."""
    command = [sys.executable, "-m", "deploy.local", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8")
    assert result.returncode == 0, f"{' '.join(arguments)}:\n{result.stdout}\n{result.stderr}"


@pytest.fixture(scope="session", autouse=True)
def session_start() -> datetime:
    """Return the start time of the test session."""
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def mesh() -> Mesh:
    """Start the mesh unless it is running."""
    run_local("up")
    return Mesh(f"http://127.0.0.1:{shift_port(8080)}", f"http://127.0.0.1:{shift_port(8090)}", STATE_DIR)


@pytest.fixture(scope="session")
def edge(mesh: Mesh) -> Iterator[httpx.Client]:
    """Return an HTTP client of the public API without a token."""
    with httpx.Client(base_url=f"{mesh.edge_url}/api/v1", timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def sandbox(mesh: Mesh) -> Iterator[httpx.Client]:
    """Return an HTTP client of the sandbox."""
    with httpx.Client(base_url=mesh.sandbox_url, timeout=20, trust_env=False) as client:
        yield client


DURATIONS_S: dict[str, float] = {}
"""Seconds of each part of the suite, such as `unit`."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add the duration of a test to its part of the suite."""
    part = report.nodeid.split("/")[1] if report.nodeid.startswith("tests/") else report.nodeid.partition("/")[0]
    DURATIONS_S[part] = DURATIONS_S.get(part, 0.0) + report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the duration of each part of the suite."""
    for part, duration_s in DURATIONS_S.items():
        terminalreporter.write_line(f"duration: {part} {duration_s:.1f}")
