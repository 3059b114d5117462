"""What the supervisor tells of the mesh: a file that others read while it lives, and after it was killed."""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import get_start_time, signal_process_group


@dataclass
class ProcessState:
    """What is known of one child, as `status` shows it."""

    name: str
    state: str = "waiting"
    pid: int = 0
    start_time: float = 0.0
    restarts: int = 0
    ports: Sequence[int] = ()
    message: str = ""
    stop_signal: int = signal.SIGTERM
    cleanup_command: Sequence[str] = ()


@dataclass
class SupervisorState:
    """What the supervisor writes for those who ask: `phase` is starting, ready, failed or stopping."""

    pid: int
    start_time: float
    scope: str
    phase: str = "starting"
    error: str = ""
    children: list[ProcessState] = field(default_factory=list)


def supervisor_state_path(config: MeshConfig) -> Path:
    """Where the report lies."""
    return config.folder / "mesh.json"


def read_supervisor_state(config: MeshConfig) -> SupervisorState | None:
    """The last report, whether its supervisor is alive or not."""
    try:
        content = json.loads(supervisor_state_path(config).read_text())
    except FileNotFoundError:
        return None
    children = [ProcessState(**child) for child in content.pop("children")]
    return SupervisorState(**content, children=children)


def write_supervisor_state(config: MeshConfig, supervisor_state: SupervisorState) -> None:
    """Replaces the last report, whole."""
    path = supervisor_state_path(config)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(supervisor_state)))
    fresh.replace(path)


def is_supervisor_alive(supervisor_state: SupervisorState | None) -> bool:
    """Whether the report's supervisor still runs."""
    return supervisor_state is not None and get_start_time(supervisor_state.pid) == supervisor_state.start_time


def read_running_state(config: MeshConfig) -> SupervisorState | None:
    """The report of a mesh that runs."""
    report = read_supervisor_state(config)
    return report if is_supervisor_alive(report) else None


def stop_orphans(config: MeshConfig) -> int:
    """Stops what a killed supervisor left behind; how many there were."""
    report = read_supervisor_state(config)
    if report is None or is_supervisor_alive(report):
        return 0
    left = [child for child in report.children if child.pid and get_start_time(child.pid) == child.start_time]
    for number, patience in ((None, 5.0), (signal.SIGKILL, 5.0)):
        for child in left:
            signal_process_group(child.pid, child.start_time, number or child.stop_signal)
        end = time.monotonic() + patience
        while time.monotonic() < end and any(get_start_time(child.pid) == child.start_time for child in left):
            time.sleep(0.05)
    for child in report.children:
        if child.cleanup_command:
            subprocess.run(child.cleanup_command, check=False, capture_output=True)
    supervisor_state_path(config).unlink(missing_ok=True)
    return len(left)
