"""What the runner shows in the terminal."""

import subprocess
import sys
import time

from rich.console import Console

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import get_start_time
from deploy.local.supervisor.supervisor_state import read_supervisor_state


def wait_until_ready(config: MeshConfig, supervisor_pid: int, timeout_s: float) -> int:
    """Shows who has become ready until all have; 0 when the mesh is, 1 with the reason otherwise."""
    console = Console(stderr=True)
    begun = time.monotonic()
    seen: set[str] = set()
    with console.status("starting the mesh") as line:
        while time.monotonic() - begun < timeout_s:
            report = read_supervisor_state(config)
            if report is not None and report.pid == supervisor_pid:
                ready = {child.name for child in report.children if child.state == "ready"}
                if fresh := ready - seen:
                    seen |= fresh
                    waiting = [child.name for child in report.children if child.name not in ready]
                    line.update(
                        f"{len(ready)}/{len(report.children)} ready; waiting for {', '.join(waiting) or 'demo data'}"
                    )
                if report.phase == "ready":
                    return 0
                if report.phase == "failed":
                    console.print(f"[red]the mesh did not start:[/] {report.error}", highlight=False, markup=True)
                    return 1
            if get_start_time(supervisor_pid) is None:
                console.print(f"the supervisor ended; see {config.folder / 'logs/supervisor.log'}")
                return 1
            time.sleep(0.05)
    console.print(f"the mesh was not ready after {timeout_s:.0f} seconds; see `make status` and `make logs`")
    return 1


def follow_logs(config: MeshConfig, names: list[str]) -> int:
    """Follows logs, all or by name, until interrupted."""
    files = [
        str(path)
        for path in sorted(config.ensure_subdirectory("logs").glob("*.log"))
        if not names or path.stem in names
    ]
    if not files:
        print("there are no logs by that name", file=sys.stderr)
        return 1
    try:
        return subprocess.run(["tail", "-n", "20", "-F", *files], check=False).returncode
    except KeyboardInterrupt:
        return 0
