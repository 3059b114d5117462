"""`python -m deploy.local up|down|status|logs|demo|diagrams|admin|caller|reconcile`."""

import argparse
import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import time

from rich.console import Console

from deploy.local import callers, diagrams, page, scenarios, screen, services
from deploy.local.plan import stages
from deploy.local.process import kill_group
from deploy.local.report import alive, end_orphans, read_report, running
from deploy.local.secrets import Secrets
from deploy.local.state import ROOT, State
from deploy.local.supervisor import Supervisor

PATIENCE = 150.0
"""Seconds that `up` waits for the mesh."""


def taken(state: State, extent: str) -> list[str]:
    """Ports that we need and others listen on, each with what it is for and how to change it."""
    found = []
    needed = {name for stage in stages(state, Secrets(state), extent) for process in stage for name in process.ports}
    for name, (number, about) in state.ports.items():
        if name not in needed:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((state.bind, number))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                found.append(
                    f"port {number} ({about}) is taken; set {name} to another, or PORT_OFFSET to shift them all"
                )
    return found


def up(state: State, extent: str) -> int:
    """Starts the mesh, or finds it running."""
    report = read_report(state)
    if report is not None and alive(report) and (report.extent, extent) == ("servers", "all"):
        down(state)
    elif report is not None and alive(report):
        return screen.watch(state, report.pid, PATIENCE)
    if orphans := end_orphans(state):
        print(f"stopped {orphans} processes that a killed supervisor had left")
    if problems := taken(state, extent):
        print("\n".join(problems), file=sys.stderr)
        return 1
    with (state.sub("logs") / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "deploy.local", "supervise", "--only", extent],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return screen.watch(state, supervisor.pid, PATIENCE)


def down(state: State) -> int:
    """Stops the mesh, and what an earlier one may have left."""
    report = read_report(state)
    if report is not None and alive(report):
        os.kill(report.pid, signal.SIGTERM)
        end = time.monotonic() + 60
        while alive(report) and time.monotonic() < end:
            time.sleep(0.05)
        if alive(report):
            kill_group(report.pid, report.started, signal.SIGKILL)
    end_orphans(state)
    return 0


def supervise(state: State, extent: str) -> int:
    """The supervisor itself; `up` starts it."""
    return asyncio.run(Supervisor(state, extent).run())


def demo(state: State) -> int:
    """The seven scenarios, on a mesh that is started if it is not there."""
    return up(state, "all") or scenarios.main(state.edge, state.sandbox, state.traces)


def draw(state: State) -> int:
    """Draws design/, on a mesh that is started if it is not there."""
    return up(state, "all") or diagrams.main(state, ROOT / "design")


def admin(state: State, email: str) -> int:
    """Makes the account of an address an admin."""
    if running(state) is None:
        print("nothing runs; start it with: make up", file=sys.stderr)
        return 1
    return services.make_admin(state, Secrets(state), email)


def reconcile(state: State) -> int:
    """Compares what all stores say of orders, once, now."""
    if running(state) is None:
        print("nothing runs; start it with: make up", file=sys.stderr)
        return 1
    return services.reconcile(state, Secrets(state))


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "supervise"):
        commands.add_parser(name).add_argument("--only", choices=("all", "servers"), default="all")
    for name in ("down", "demo", "diagrams", "reconcile"):
        commands.add_parser(name)
    commands.add_parser("status").add_argument("--watch", action="store_true", help="show it anew until interrupted")
    commands.add_parser("admin").add_argument("email")
    commands.add_parser("caller").add_argument("name")
    commands.add_parser("logs").add_argument("names", nargs="*")
    arguments = parser.parse_args()
    state = State()
    state.folder.mkdir(parents=True, exist_ok=True)
    match arguments.command:
        case "up":
            return up(state, arguments.only)
        case "supervise":
            return supervise(state, arguments.only)
        case "down":
            return down(state)
        case "demo":
            return demo(state)
        case "diagrams":
            return draw(state)
        case "admin":
            return admin(state, arguments.email)
        case "reconcile":
            return reconcile(state)
        case "logs":
            return screen.logs(state, arguments.names)
        case "caller":
            return callers.join(state, arguments.name)
        case _:
            return page.show(state, Console(), watch=arguments.watch)


if __name__ == "__main__":
    sys.exit(main())
