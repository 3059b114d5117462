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

from deploy.local.demo import diagrams, scenarios
from deploy.local.infrastructure import services
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki import external_callers
from deploy.local.pki.secrets import Secrets
from deploy.local.status import progress, status_view
from deploy.local.supervisor.process import signal_process_group
from deploy.local.supervisor.stages import define_stages
from deploy.local.supervisor.supervisor import Supervisor
from deploy.local.supervisor.supervisor_state import (
    is_supervisor_alive,
    read_running_state,
    read_supervisor_state,
    stop_orphans,
)

START_TIMEOUT_S = 150.0
"""Seconds that `up` waits for the mesh."""


def find_ports_in_use(config: MeshConfig, scope: str) -> list[str]:
    """Ports that we need and others listen on, each with what it is for and how to change it."""
    found = []
    needed = {
        name
        for stage in define_stages(config, Secrets(config), scope)
        for process in stage
        for name in process.port_variables
    }
    for name, (number, about) in config.ports.items():
        if name not in needed:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((config.bind_address, number))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                found.append(
                    f"port {number} ({about}) is taken; set {name} to another, or PORT_OFFSET to shift them all"
                )
    return found


def start_mesh(config: MeshConfig, scope: str) -> int:
    """Starts the mesh, or finds it running."""
    report = read_supervisor_state(config)
    if report is not None and is_supervisor_alive(report) and (report.scope, scope) == ("servers", "all"):
        stop_mesh(config)
    elif report is not None and is_supervisor_alive(report):
        return progress.wait_until_ready(config, report.pid, START_TIMEOUT_S)
    if orphans := stop_orphans(config):
        print(f"stopped {orphans} processes that a killed supervisor had left")
    if problems := find_ports_in_use(config, scope):
        print("\n".join(problems), file=sys.stderr)
        return 1
    with (config.ensure_subdirectory("logs") / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "deploy.local", "supervise", "--only", scope],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return progress.wait_until_ready(config, supervisor.pid, START_TIMEOUT_S)


def stop_mesh(config: MeshConfig) -> int:
    """Stops the mesh, and what an earlier one may have left."""
    report = read_supervisor_state(config)
    if report is not None and is_supervisor_alive(report):
        os.kill(report.pid, signal.SIGTERM)
        end = time.monotonic() + 60
        while is_supervisor_alive(report) and time.monotonic() < end:
            time.sleep(0.05)
        if is_supervisor_alive(report):
            signal_process_group(report.pid, report.start_time, signal.SIGKILL)
    stop_orphans(config)
    return 0


def run_supervisor(config: MeshConfig, scope: str) -> int:
    """The supervisor itself; `up` starts it."""
    return asyncio.run(Supervisor(config, scope).run())


def run_demo(config: MeshConfig) -> int:
    """The seven scenarios, on a mesh that is started if it is not there."""
    return start_mesh(config, "all") or scenarios.main(config.edge_url, config.sandbox_url, config.traces_url)


def draw_diagrams(config: MeshConfig) -> int:
    """Draws design/, on a mesh that is started if it is not there."""
    return start_mesh(config, "all") or diagrams.main(config, ROOT / "design")


def grant_admin(config: MeshConfig, email: str) -> int:
    """Makes the account of an address an admin."""
    if read_running_state(config) is None:
        print("nothing runs; start it with: make up", file=sys.stderr)
        return 1
    return services.grant_admin(config, Secrets(config), email)


def run_reconciliation(config: MeshConfig) -> int:
    """Compares what all stores say of orders, once, now."""
    if read_running_state(config) is None:
        print("nothing runs; start it with: make up", file=sys.stderr)
        return 1
    return services.run_reconciliation(config, Secrets(config))


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
    state = MeshConfig()
    state.folder.mkdir(parents=True, exist_ok=True)
    match arguments.command:
        case "up":
            return start_mesh(state, arguments.only)
        case "supervise":
            return run_supervisor(state, arguments.only)
        case "down":
            return stop_mesh(state)
        case "demo":
            return run_demo(state)
        case "diagrams":
            return draw_diagrams(state)
        case "admin":
            return grant_admin(state, arguments.email)
        case "reconcile":
            return run_reconciliation(state)
        case "logs":
            return progress.follow_logs(state, arguments.names)
        case "caller":
            return external_callers.enrol_caller(state, arguments.name)
        case _:
            return status_view.show_status(state, Console(), watch=arguments.watch)


if __name__ == "__main__":
    sys.exit(main())
