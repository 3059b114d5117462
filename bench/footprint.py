"""Start time and memory of the whole system."""

import shutil
import time
from pathlib import Path

import psutil

from bench.mesh import Mesh
from bench.paths import STATE_DIR
from bench.results import Row, require_at_most
from deploy.local.supervisor.supervisor_state import read_running_state


def measure_pss_mb(pids: list[int]) -> float:
    """Return the proportional set size in MB, which counts shared memory once."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1000


def measure_demo_s(mesh: Mesh) -> float:
    """Return the seconds that `make demo` takes, without the setup."""
    started_at = time.monotonic()
    mesh.run_local("demo")
    return time.monotonic() - started_at


def measure_idle_memory_mb(mesh: Mesh) -> float:
    """Return the memory of the supervisor of a running mesh and of all its processes."""
    state = read_running_state(mesh.config)
    if state is None:
        raise RuntimeError("the mesh is not running")
    pids = [state.pid, *(child.pid for child in state.children if child.pid)]
    tree = {
        process.pid for pid in pids for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
    }
    return measure_pss_mb([*tree])


def run() -> list[Row]:
    """Measure `make demo` three times from a clean state and three times on a running mesh."""
    cold, warm, memory = [], [], []
    mesh = Mesh()
    try:
        for _ in range(3):
            mesh.run_local("down")
            shutil.rmtree(STATE_DIR, ignore_errors=True)
            STATE_DIR.mkdir(parents=True)
            cold.append(measure_demo_s(mesh))
            warm.append(measure_demo_s(mesh))
            memory.append(measure_idle_memory_mb(mesh))
    finally:
        mesh.run_local("down")
    return [
        require_at_most("system: `make demo` from a clean state, downloads excluded", 120, cold, "s"),
        require_at_most("system: `make demo` on a running mesh", 15, warm, "s"),
        require_at_most("system: idle memory of all processes (PSS), servers included", 1000, memory, "MB"),
    ]
