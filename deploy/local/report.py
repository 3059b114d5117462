"""What the supervisor tells of the mesh: a file that others read while it lives, and after it was killed."""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.local.process import kill_group, started_at
from deploy.local.state import State


@dataclass
class Child:
    """What is known of one child, as `status` shows it."""

    name: str
    state: str = "waiting"
    pid: int = 0
    started: float = 0.0
    restarts: int = 0
    ports: Sequence[int] = ()
    said: str = ""
    stop_signal: int = signal.SIGTERM
    also_stop: Sequence[str] = ()


@dataclass
class Report:
    """What the supervisor writes for those who ask: `phase` is starting, ready, failed or stopping."""

    pid: int
    started: float
    extent: str
    phase: str = "starting"
    why: str = ""
    children: list[Child] = field(default_factory=list)


def report_path(state: State) -> Path:
    """Where the report lies."""
    return state.folder / "mesh.json"


def read_report(state: State) -> Report | None:
    """The last report, whether its supervisor is alive or not."""
    try:
        content = json.loads(report_path(state).read_text())
    except FileNotFoundError:
        return None
    children = [Child(**child) for child in content.pop("children")]
    return Report(**content, children=children)


def write_report(state: State, report: Report) -> None:
    """Replaces the last report, whole."""
    path = report_path(state)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(report)))
    fresh.replace(path)


def alive(report: Report | None) -> bool:
    """Whether the report's supervisor still runs."""
    return report is not None and started_at(report.pid) == report.started


def running(state: State) -> Report | None:
    """The report of a mesh that runs."""
    report = read_report(state)
    return report if alive(report) else None


def end_orphans(state: State) -> int:
    """Stops what a killed supervisor left behind; how many there were."""
    report = read_report(state)
    if report is None or alive(report):
        return 0
    left = [child for child in report.children if child.pid and started_at(child.pid) == child.started]
    for number, patience in ((None, 5.0), (signal.SIGKILL, 5.0)):
        for child in left:
            kill_group(child.pid, child.started, number or child.stop_signal)
        end = time.monotonic() + patience
        while time.monotonic() < end and any(started_at(child.pid) == child.started for child in left):
            time.sleep(0.05)
    for child in report.children:
        if child.also_stop:
            subprocess.run(child.also_stop, check=False, capture_output=True)
    report_path(state).unlink(missing_ok=True)
    return len(left)
