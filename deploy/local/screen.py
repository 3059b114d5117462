"""What the runner shows in the terminal."""

import subprocess
import sys
import time
from datetime import timedelta

import psutil
from rich.console import Console
from rich.table import Table

from deploy.local.process import started_at
from deploy.local.report import Report, read_report
from deploy.local.state import State

COLOURS = {"ready": "green", "starting": "yellow", "waiting": "dim", "restarting": "red"}


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


def status(console: Console, report: Report | None) -> int:
    """A row per process; 1 when the mesh is not running or not whole."""
    if report is None:
        console.print("the mesh is not running; `make up` starts it")
        return 1
    table = Table(title=f"delivery · {report.phase}", title_justify="left", header_style="bold", box=None)
    for name in ("process", "state"):
        table.add_column(name)
    for name in ("pid", "restarts", "up", "memory", "ports"):
        table.add_column(name, justify="right")
    table.add_column("last said")
    total = 0
    for child in report.children:
        memory = _memory(child.pid)
        total += memory
        uptime = str(timedelta(seconds=int(time.time() - child.started))) if child.pid else ""
        table.add_row(
            child.name,
            f"[{COLOURS.get(child.state, 'white')}]{child.state}[/]",
            str(child.pid or ""),
            str(child.restarts or ""),
            uptime,
            f"{memory / 2**20:.0f} MB" if memory else "",
            " ".join(map(str, child.ports)),
            f"[dim]{child.said}[/]",
        )
    console.print(table)
    console.print(f"[dim]{len(report.children)} processes, {total / 2**20:.0f} MB[/]")
    return 0 if report.phase == "ready" and all(child.state == "ready" for child in report.children) else 1


def _memory(pid: int) -> int:
    """What a process and its children take, in bytes; shared pages are counted once."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_full_info().pss for one in [process, *process.children(recursive=True)])
    except (psutil.Error, ValueError):
        return 0


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
