"""Start of the supervisor as a process; a program that sleeps stands for it."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from deploy.local.mesh_config import MeshConfig
from deploy.local.status import progress
from deploy.local.supervisor.launcher import INTERRUPTED_EXIT_CODE, start_supervisor
from deploy.local.supervisor.supervisor_state import SupervisorState, is_supervisor_alive, read_supervisor_state


@pytest.fixture
def config(tmp_path: Path) -> MeshConfig:
    return MeshConfig({"DELIVERY_STATE": str(tmp_path), "PORT_OFFSET": "1000"})


def start(config: MeshConfig) -> int:
    return start_supervisor(
        config,
        "servers",
        ["supervisor"],
        folder=config.folder,
        environment=os.environ,
        start_timeout_s=5,
        stop_timeout_s=5,
    )


def test_state_is_written_before_the_supervisor_writes_it(
    config: MeshConfig, supervisors: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[SupervisorState | None] = []

    def wait_until_ready(config: MeshConfig, *_: float) -> int:
        states.append(read_supervisor_state(config))
        return 7

    monkeypatch.setattr(progress, "wait_until_ready", wait_until_ready)
    assert start(config) == 7
    (state,) = states
    assert state is not None
    assert is_supervisor_alive(state)
    assert (state.pid, state.scope, state.phase) == (supervisors[0].pid, "servers", "starting")
    assert state.ports["EDGE_PORT"] == 9080
    assert os.getsid(state.pid) == state.pid


def test_interrupt_stops_the_started_supervisor(
    config: MeshConfig,
    supervisors: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "wait_until_ready", interrupt)
    assert start(config) == INTERRUPTED_EXIT_CODE
    assert supervisors[0].wait(5) == -signal.SIGTERM
    assert read_supervisor_state(config) is None
    assert capsys.readouterr().err == "interrupted; stopping the mesh\n"
