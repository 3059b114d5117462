"""What the runner shows in the terminal."""

import subprocess
import sys
import time

from rich.console import Console

from deploy.local.process import started_at
from deploy.local.report import read_report
from deploy.local.state import State


def watch(state: State, supervisor: int, patience: float) -> int:
    """Shows who has become ready until all have; 0 when the mesh is, 1 with the reason otherwise."""
    console = Console(stderr=True)
    begun = time.monotonic()
    seen: set[str] = set()
    with console.status("starting the mesh") as line:
        while time.monotonic() - begun < patience:
            report = read_report(state)
            if report is not None and report.pid == supervisor:
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
                    console.print(f"[red]the mesh did not start:[/] {report.why}", highlight=False, markup=True)
                    return 1
            if started_at(supervisor) is None:
                console.print(f"the supervisor ended; see {state.folder / 'logs/supervisor.log'}")
                return 1
            time.sleep(0.05)
    console.print(f"the mesh was not ready after {patience:.0f} seconds; see `make status` and `make logs`")
    return 1


def logs(state: State, names: list[str]) -> int:
    """Follows logs, all or by name, until interrupted."""
    files = [str(path) for path in sorted(state.sub("logs").glob("*.log")) if not names or path.stem in names]
    if not files:
        print("there are no logs by that name", file=sys.stderr)
        return 1
    try:
        return subprocess.run(["tail", "-n", "20", "-F", *files], check=False).returncode
    except KeyboardInterrupt:
        return 0
