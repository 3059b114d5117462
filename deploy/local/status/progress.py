"""Start-up progress and log output in the terminal."""

import subprocess
import sys
import time

from rich.console import Console
from rich.markup import escape

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import get_start_time
from deploy.local.supervisor.supervisor_state import read_supervisor_state


def wait_until_ready(config: MeshConfig, supervisor_pid: int, timeout_s: float) -> int:
    """Show progress until the mesh is ready. Return 0 when it is, or print the error and return 1."""
    console = Console(stderr=True)
    deadline = time.monotonic() + timeout_s
    reported: set[str] = set()
    with console.status("starting the mesh") as line:
        while time.monotonic() < deadline:
            state = read_supervisor_state(config)
            if state is not None and state.pid == supervisor_pid:
                ready = {child.name for child in state.children if child.state == "ready"}
                if newly_ready := ready - reported:
                    reported |= newly_ready
                    waiting = [child.name for child in state.children if child.name not in ready]
                    line.update(
                        f"{len(ready)}/{len(state.children)} ready; waiting for {', '.join(waiting) or 'demo data'}"
                    )
                if state.phase == "ready":
                    return 0
                if state.phase == "failed":
                    console.print(f"[red]the mesh failed to start:[/] {escape(state.error)}", highlight=False)
                    return 1
            if get_start_time(supervisor_pid) is None:
                console.print(f"the supervisor exited; see {config.folder / 'logs/supervisor.log'}")
                return 1
            time.sleep(0.05)
    console.print(f"the mesh is not ready after {timeout_s:.0f} seconds; see `make status` and `make logs`")
    return 1


def follow_logs(config: MeshConfig, names: list[str]) -> int:
    """Follow the logs of the named processes, or of all, until interrupted. Return the exit code."""
    files = [
        str(path)
        for path in sorted(config.ensure_subdirectory("logs").glob("*.log"))
        if not names or path.stem in names
    ]
    if not files:
        print("no logs found", file=sys.stderr)
        return 1
    try:
        return subprocess.run(["tail", "-n", "20", "-F", *files], check=False).returncode
    except KeyboardInterrupt:
        return 0
