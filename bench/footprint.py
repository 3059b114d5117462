"""The whole system as a newcomer meets it: how long it takes to stand, and what it takes of the machine."""

import shutil
import time
from pathlib import Path

import psutil

from bench.mesh import Mesh
from bench.paths import STATE_DIR
from bench.results import Row, require_at_most
from deploy.local.supervisor.supervisor_state import read_running_state


def measure_pss_mb(pids: list[int]) -> float:
    """Proportional set size: what is shared counts once."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1000


def measure_demo_s(mesh: Mesh) -> float:
    """Seconds that `make demo` takes, set-up excluded."""
    began = time.monotonic()
    mesh.run_local("demo")
    return time.monotonic() - began


def run() -> list[Row]:
    """Three times from nothing, and three times while it runs."""
    cold, warm, memory = [], [], []
    for _ in range(3):
        mesh = Mesh()
        mesh.run_local("down")
        shutil.rmtree(STATE_DIR, ignore_errors=True)
        STATE_DIR.mkdir(parents=True)
        cold.append(measure_demo_s(mesh))
        warm.append(measure_demo_s(mesh))
        report = read_running_state(mesh.config)
        if report is None:
            raise RuntimeError("the mesh has gone")
        pids = [report.pid, *(child.pid for child in report.children if child.pid)]
        family = {
            each.pid for pid in pids for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
        }
        memory.append(measure_pss_mb([*family]))
    mesh.run_local("down")
    return [
        require_at_most("system: `make demo` from nothing, downloads excluded", 120, cold, "s"),
        require_at_most("system: `make demo` while it runs", 15, warm, "s"),
        require_at_most("system: memory of everything at rest (PSS), servers included", 1200, memory, "MB"),
    ]
