"""State file of the supervisor, which other processes read while it runs and after it was killed."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import get_start_time, read_boot_id, signal_process_group

ORPHAN_STOP_TIMEOUT_S = 5.0
"""Seconds between the stop signal and SIGKILL of an orphaned process."""

KILL_TIMEOUT_S = 5.0
"""Seconds in which a killed process exits."""


@dataclass
class ProcessState:
    """State of a child process."""

    name: str
    state: str = "waiting"
    pid: int = 0
    start_time: float = 0.0
    """Seconds since the boot."""
    restarts: int = 0
    ports: Sequence[int] = ()
    message: str = ""
    stop_signal: int = signal.SIGTERM
    cleanup_command: Sequence[str] = ()


@dataclass
class SupervisorState:
    """State of the supervisor. `phase` is starting, ready, failed or stopping."""

    pid: int
    start_time: float
    """Seconds since the boot."""
    scope: str
    phase: str = "starting"
    error: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    """Ports by the name of their environment variable."""
    boot_id: str = field(default_factory=read_boot_id)
    """Id of the boot in which the supervisor and its children were started."""
    children: list[ProcessState] = field(default_factory=list)


def create_supervisor_state(config: MeshConfig, pid: int, scope: str) -> SupervisorState:
    """Return the initial state of a supervisor, which is running as the process `pid`."""
    ports = {name: number for name, (number, _) in config.ports.items()}
    return SupervisorState(pid=pid, start_time=get_start_time(pid) or 0.0, scope=scope, ports=ports)


def get_supervisor_state_path(config: MeshConfig) -> Path:
    """Return the path of the state file."""
    return config.folder / "mesh.json"


def read_supervisor_state(config: MeshConfig) -> SupervisorState | None:
    """Return the last written state, or None, also after a power failure that damaged the file.

    The supervisor may have exited since.
    """
    try:
        content = json.loads(get_supervisor_state_path(config).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    children = [ProcessState(**child) for child in content.pop("children")]
    return SupervisorState(**content, children=children)


def write_supervisor_state(config: MeshConfig, supervisor_state: SupervisorState) -> None:
    """Replace the state file atomically."""
    path = get_supervisor_state_path(config)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(supervisor_state)), encoding="utf-8")
    temporary.replace(path)


def is_supervisor_alive(supervisor_state: SupervisorState | None) -> bool:
    """Return whether the supervisor that wrote the state is running."""
    return (
        supervisor_state is not None
        and supervisor_state.boot_id == read_boot_id()
        and get_start_time(supervisor_state.pid) == supervisor_state.start_time
    )


def read_running_state(config: MeshConfig) -> SupervisorState | None:
    """Return the state of a running supervisor, or None."""
    state = read_supervisor_state(config)
    return state if is_supervisor_alive(state) else None


def stop_supervisor(config: MeshConfig, timeout_s: float) -> None:
    """Stop the supervisor and its child processes; kill the supervisor after the timeout."""
    state = read_supervisor_state(config)
    if state is not None and is_supervisor_alive(state):
        os.kill(state.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while is_supervisor_alive(state) and time.monotonic() < deadline:
            time.sleep(0.05)
        if is_supervisor_alive(state):
            signal_process_group(state.pid, state.start_time, signal.SIGKILL)
            deadline = time.monotonic() + KILL_TIMEOUT_S
            while is_supervisor_alive(state) and time.monotonic() < deadline:
                time.sleep(0.05)


def stop_orphans(config: MeshConfig) -> int:
    """Stop orphaned processes of a killed supervisor. Return their number."""
    state = read_supervisor_state(config)
    if state is None or is_supervisor_alive(state):
        return 0
    started = [child for child in state.children if child.pid] if state.boot_id == read_boot_id() else []
    orphans = [child for child in started if get_start_time(child.pid) == child.start_time]
    for number, timeout_s in ((None, ORPHAN_STOP_TIMEOUT_S), (signal.SIGKILL, KILL_TIMEOUT_S)):
        for child in orphans:
            signal_process_group(child.pid, child.start_time, number or child.stop_signal)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and any(get_start_time(child.pid) == child.start_time for child in orphans):
            time.sleep(0.05)
    for child in state.children:
        if child.cleanup_command:
            subprocess.run(child.cleanup_command, check=False, capture_output=True)
    get_supervisor_state_path(config).unlink(missing_ok=True)
    return len(orphans)
