"""State file of the supervisor, and processes that a killed supervisor has left."""

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor import supervisor_state
from deploy.local.supervisor.process import get_start_time
from deploy.local.supervisor.supervisor_state import (
    ProcessState,
    SupervisorState,
    get_supervisor_state_path,
    is_supervisor_alive,
    read_running_state,
    read_supervisor_state,
    stop_orphans,
    stop_supervisor,
    write_supervisor_state,
)

TEXTS = st.text(max_size=10)
PROCESS_STATES = st.builds(
    ProcessState,
    name=TEXTS,
    state=TEXTS,
    pid=st.integers(0, 2**22),
    start_time=st.floats(0, 2e9),
    restarts=st.integers(0, 99),
    ports=st.lists(st.integers(1, 65535), max_size=3),
    message=TEXTS,
    cleanup_command=st.lists(TEXTS, max_size=3),
)


@pytest.fixture
def config(tmp_path: Path) -> MeshConfig:
    return MeshConfig({"DELIVERY_STATE": str(tmp_path)})


def create_state(*children: ProcessState, pid: int = 0, start_time: float = 0.0) -> SupervisorState:
    return SupervisorState(pid=pid, start_time=start_time, scope="all", children=list(children))


@given(st.lists(PROCESS_STATES, max_size=3), TEXTS, TEXTS)
@settings(max_examples=20)
def test_written_state_is_read(
    tmp_path_factory: pytest.TempPathFactory, children: list[ProcessState], phase: str, error: str
) -> None:
    config = MeshConfig({"DELIVERY_STATE": str(tmp_path_factory.getbasetemp())})
    state = replace(create_state(*children), phase=phase, error=error)
    write_supervisor_state(config, state)
    assert read_supervisor_state(config) == state


def test_writing_replaces_the_file_atomically(config: MeshConfig) -> None:
    write_supervisor_state(config, create_state())
    with get_supervisor_state_path(config).open() as previous:
        write_supervisor_state(config, create_state(ProcessState("orders")))
        assert '"children": []' in previous.read()
    assert [path.name for path in config.folder.iterdir()] == ["mesh.json"]


def test_missing_file_is_no_state(config: MeshConfig) -> None:
    assert read_supervisor_state(config) is None
    assert read_running_state(config) is None
    assert not is_supervisor_alive(None)


@pytest.mark.parametrize("content", ["", "\0\0\0", '{"pid": 1'])
def test_damaged_file_is_no_state(config: MeshConfig, content: str) -> None:
    get_supervisor_state_path(config).write_text(content, encoding="utf-8")
    assert read_supervisor_state(config) is None
    assert stop_orphans(config) == 0


def own_start_time() -> float:
    start_time = get_start_time(os.getpid())
    assert start_time is not None
    return start_time


@pytest.mark.parametrize(("delay_s", "is_alive"), [(0.0, True), (-1.0, False)], ids=["same", "reused pid"])
def test_supervisor_is_identified_by_pid_and_start_time(config: MeshConfig, delay_s: float, is_alive: bool) -> None:
    state = create_state(pid=os.getpid(), start_time=own_start_time() + delay_s)
    write_supervisor_state(config, state)
    assert is_supervisor_alive(state) == is_alive
    assert read_running_state(config) == (state if is_alive else None)


def set_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the wall clock five seconds ahead, by which the kernel reports a later time of the boot."""
    boot_time = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot_time + 5)


def test_supervisor_is_identified_after_the_clock_was_set(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    write_supervisor_state(config, create_state(pid=os.getpid(), start_time=own_start_time()))
    set_clock(monkeypatch)
    assert is_supervisor_alive(read_supervisor_state(config))
    assert stop_orphans(config) == 0
    assert get_supervisor_state_path(config).exists()


def test_orphan_is_stopped_after_the_clock_was_set(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        start_time = get_start_time(process.pid) or 0.0
        write_supervisor_state(config, create_state(ProcessState("orders", pid=process.pid, start_time=start_time)))
        set_clock(monkeypatch)
        try:
            assert stop_orphans(config) == 1
        finally:
            process.kill()
    assert process.returncode == -signal.SIGTERM


def test_processes_of_an_earlier_boot_are_not_identified(config: MeshConfig) -> None:
    child = ProcessState("orders", pid=os.getpid(), start_time=own_start_time())
    state = replace(create_state(child, pid=os.getpid(), start_time=own_start_time()), boot_id="an earlier boot")
    write_supervisor_state(config, state)
    assert not is_supervisor_alive(read_supervisor_state(config))
    assert stop_orphans(config) == 0


class SimulatedProcesses:
    """Running processes by pid and the signal that ends each; time passes only when the code sleeps."""

    def __init__(self) -> None:
        self.ended_by: dict[int, int] = {}
        self.signals: list[tuple[int, int]] = []
        self.now_s = 0.0

    def get_start_time(self, pid: int) -> float | None:
        return float(pid) if pid in self.ended_by else None

    def signal_process_group(self, pid: int, start_time: float, signal_number: int) -> bool:
        if self.get_start_time(pid) != start_time:
            return False
        self.signals.append((pid, signal_number))
        if self.ended_by[pid] == signal_number:
            del self.ended_by[pid]
        return True

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> SimulatedProcesses:
    processes = SimulatedProcesses()
    for name in ("get_start_time", "signal_process_group"):
        monkeypatch.setattr(supervisor_state, name, getattr(processes, name))
    monkeypatch.setattr(supervisor_state, "time", processes)
    return processes


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record the cleanup commands instead of running them."""
    recorded: list[Any] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: recorded.append(command))
    return recorded


def create_child(pid: int, **changes: Any) -> ProcessState:
    return ProcessState(f"child-{pid}", pid=pid, start_time=float(pid), **changes)


def test_stop_waits_until_the_killed_supervisor_has_exited(
    config: MeshConfig, processes: SimulatedProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.ended_by = {9: 0}
    monkeypatch.setattr(os, "kill", lambda *_: None)
    write_supervisor_state(config, create_state(pid=9, start_time=9.0))
    stop_supervisor(config, 1.0)
    assert processes.signals == [(9, signal.SIGKILL)]
    assert processes.now_s == pytest.approx(1.0 + supervisor_state.KILL_TIMEOUT_S, abs=0.2)


def test_orphans_receive_their_stop_signal(config: MeshConfig, processes: SimulatedProcesses) -> None:
    processes.ended_by = {10: signal.SIGTERM, 11: signal.SIGINT}
    write_supervisor_state(config, create_state(create_child(10), create_child(11, stop_signal=signal.SIGINT)))
    assert stop_orphans(config) == 2
    assert processes.signals == [(10, signal.SIGTERM), (11, signal.SIGINT)]
    assert processes.now_s == 0
    assert not get_supervisor_state_path(config).exists()


def test_unresponsive_orphan_is_killed_after_the_timeout(config: MeshConfig, processes: SimulatedProcesses) -> None:
    processes.ended_by = {10: signal.SIGKILL}
    write_supervisor_state(config, create_state(create_child(10)))
    assert stop_orphans(config) == 1
    assert processes.signals == [(10, signal.SIGTERM), (10, signal.SIGKILL)]
    assert processes.now_s == pytest.approx(5.0, abs=0.1)


def test_waiting_for_a_killed_orphan_is_limited(config: MeshConfig, processes: SimulatedProcesses) -> None:
    processes.ended_by = {10: 0}
    write_supervisor_state(config, create_state(create_child(10)))
    assert stop_orphans(config) == 1
    assert processes.now_s == pytest.approx(10.0, abs=0.2)


@pytest.mark.parametrize(
    "child",
    [ProcessState("waiting"), create_child(12), replace(create_child(10), start_time=9.0)],
    ids=["not started", "exited", "reused pid"],
)
def test_other_processes_are_not_signalled(
    config: MeshConfig, processes: SimulatedProcesses, child: ProcessState
) -> None:
    processes.ended_by = {10: signal.SIGTERM}
    write_supervisor_state(config, create_state(child))
    assert stop_orphans(config) == 0
    assert processes.signals == []


def test_cleanup_commands_run_even_for_exited_children(
    config: MeshConfig, processes: SimulatedProcesses, commands: list[Any]
) -> None:
    write_supervisor_state(config, create_state(create_child(10, cleanup_command=["epmd", "-kill"]), create_child(11)))
    assert stop_orphans(config) == 0
    assert commands == [["epmd", "-kill"]]
    assert not get_supervisor_state_path(config).exists()


def test_children_of_a_running_supervisor_are_not_stopped(
    config: MeshConfig, processes: SimulatedProcesses, commands: list[Any]
) -> None:
    processes.ended_by = {9: signal.SIGTERM, 10: signal.SIGTERM}
    child = create_child(10, cleanup_command=["epmd", "-kill"])
    write_supervisor_state(config, create_state(child, pid=9, start_time=9.0))
    assert stop_orphans(config) == 0
    assert (processes.signals, commands) == ([], [])
    assert get_supervisor_state_path(config).exists()


def test_no_state_means_no_orphans(config: MeshConfig) -> None:
    assert stop_orphans(config) == 0
