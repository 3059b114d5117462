"""Start-up progress read from the supervisor's state file with a simulated clock, and the command that follows logs."""

import io
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local.mesh_config import MeshConfig
from deploy.local.status import progress
from deploy.local.supervisor.supervisor_state import ProcessState, SupervisorState, write_supervisor_state

PID = os.getpid()
TIMEOUT_S = 5.0


@pytest.fixture
def config(tmp_path: Path) -> MeshConfig:
    return MeshConfig({"DELIVERY_STATE": str(tmp_path)})


class SimulatedClock:
    """Clock that advances, and takes the next action, only when the code sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.actions: Iterator[Callable[[], object]] = iter(())

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        next(self.actions, lambda: None)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimulatedClock:
    clock = SimulatedClock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what is printed to the terminal, without animations."""
    output = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=output, width=200))
    return output


def create_state(phase: str = "starting", pid: int = PID, error: str = "", **states: str) -> SupervisorState:
    children = [ProcessState(name, state) for name, state in states.items()]
    return SupervisorState(pid=pid, start_time=0.0, scope="all", phase=phase, error=error, children=children)


def write_later(config: MeshConfig, *states: SupervisorState) -> Iterator[Callable[[], object]]:
    """Yield actions that write the states, one after the other."""
    return (lambda state=state: write_supervisor_state(config, state) for state in states)  # type: ignore[misc]


def test_ready_mesh_returns_zero(config: MeshConfig, clock: SimulatedClock, output: io.StringIO) -> None:
    clock.actions = write_later(
        config,
        create_state(postgres="starting", orders="waiting"),
        create_state(postgres="ready", orders="starting"),
        create_state("ready", postgres="ready", orders="ready"),
    )
    assert progress.wait_until_ready(config, PID, TIMEOUT_S) == 0
    assert output.getvalue() == ""


def test_failed_mesh_prints_the_error(config: MeshConfig, clock: SimulatedClock, output: io.StringIO) -> None:
    write_supervisor_state(config, create_state("failed", error="not ready: orders\n[error] <0.1> [/data] is full"))
    assert progress.wait_until_ready(config, PID, TIMEOUT_S) == 1
    assert output.getvalue() == "the mesh failed to start: not ready: orders\n[error] <0.1> [/data] is full\n"


def test_timeout_names_the_next_commands(config: MeshConfig, clock: SimulatedClock, output: io.StringIO) -> None:
    write_supervisor_state(config, create_state(orders="starting"))
    assert progress.wait_until_ready(config, PID, TIMEOUT_S) == 1
    assert "not ready after 5 seconds; see `make status` and `make logs`" in output.getvalue()
    assert TIMEOUT_S <= clock.now_s < TIMEOUT_S + 0.1


def test_state_of_another_supervisor_is_ignored(config: MeshConfig, clock: SimulatedClock, output: io.StringIO) -> None:
    write_supervisor_state(config, create_state("ready", pid=PID + 1))
    clock.actions = write_later(config, create_state("failed", error="no port"))
    assert progress.wait_until_ready(config, PID, TIMEOUT_S) == 1
    assert "no port" in output.getvalue()


def test_exited_supervisor_is_reported_with_its_log(
    config: MeshConfig, clock: SimulatedClock, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "get_start_time", lambda pid: None)
    assert progress.wait_until_ready(config, PID, TIMEOUT_S) == 1
    assert "the supervisor exited" in output.getvalue()
    assert "logs/supervisor.log" in output.getvalue().replace("\n", "")
    assert clock.now_s == 0


def test_each_newly_ready_process_updates_the_status_line(
    config: MeshConfig, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    class RecordingConsole(Console):
        def status(self, *_: object, **__: object) -> "RecordingConsole":  # type: ignore[override]
            return self

        def update(self, line: str) -> None:
            lines.append(line)

    monkeypatch.setattr(progress, "Console", lambda **_: RecordingConsole(file=io.StringIO()))
    clock.actions = write_later(
        config,
        create_state(postgres="starting", orders="waiting"),
        create_state(postgres="ready", orders="starting"),
        create_state(postgres="ready", orders="starting"),
        create_state(postgres="ready", orders="ready"),
        create_state("ready", postgres="ready", orders="ready"),
    )
    assert progress.wait_until_ready(config, PID, TIMEOUT_S) == 0
    assert lines == ["1/2 ready; waiting for orders", "2/2 ready; waiting for demo data"]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record the commands of `follow_logs` instead of running them."""
    recorded: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        recorded.append(command)
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", run)
    return recorded


@pytest.mark.parametrize(
    ("names", "followed"),
    [([], ["gateway", "orders", "postgres"]), (["postgres", "gateway", "mail"], ["gateway", "postgres"])],
)
def test_logs_of_named_processes_are_followed(
    config: MeshConfig, commands: list[list[str]], names: list[str], followed: list[str]
) -> None:
    folder = config.ensure_subdirectory("logs")
    for name in ("postgres.log", "orders.log", "gateway.log", "orders.log.1"):
        (folder / name).touch()
    assert progress.follow_logs(config, names) == 3
    assert [Path(argument).stem for argument in commands[0][4:]] == followed


def test_missing_logs_are_reported(
    config: MeshConfig, commands: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    (config.ensure_subdirectory("logs") / "orders.log").touch()
    assert progress.follow_logs(config, ["mail"]) == 1
    assert capsys.readouterr().err == "no logs found\n"
    assert commands == []


def test_interrupt_ends_following_without_error(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (config.ensure_subdirectory("logs") / "orders.log").touch()
    monkeypatch.setattr(subprocess, "run", interrupt)
    assert progress.follow_logs(config, []) == 0
