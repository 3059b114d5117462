"""`python -m deploy.local up|down|status|logs|demo|diagrams|make-admin|add-caller|reconcile`: run a local mesh."""

import argparse
import asyncio
import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from deploy.local.demo import diagrams, scenarios
from deploy.local.environment import build_own_environment, remove_foreign_variables
from deploy.local.infrastructure import services
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki import external_callers
from deploy.local.pki.secrets import Secrets
from deploy.local.status import progress, status_view
from deploy.local.supervisor.launcher import (
    INTERRUPTED_EXIT_CODE,
    start_supervisor,
    wait_for_stopping_supervisor,
)
from deploy.local.supervisor.stages import define_stages
from deploy.local.supervisor.supervisor import Supervisor
from deploy.local.supervisor.supervisor_state import (
    SupervisorState,
    read_running_state,
    read_supervisor_state,
    stop_orphans,
    stop_supervisor,
)

START_TIMEOUT_S = 150.0
"""Seconds that `up` waits until the mesh is ready."""

STOP_TIMEOUT_S = 60.0
"""Seconds after which a supervisor is killed."""


def find_ports_in_use(config: MeshConfig, scope: str) -> list[str]:
    """Return the errors of required ports and addresses that cannot be used, with the variables that change them."""
    errors = []
    required = {
        name
        for stage in define_stages(config, Secrets(config), scope)
        for process in stage
        for name in process.port_variables
    }
    for name, (number, description) in config.ports.items():
        if name not in required:
            continue
        bind_variable = "ADMIN_BIND" if name.endswith("_ADMIN_PORT") else "BIND"
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((config.get_setting(bind_variable), number))
            except OSError as error:
                port = f"port {number} ({description})"
                if error.errno == errno.EADDRINUSE:
                    errors.append(f"{port} is in use; set {name} to another port, or PORT_OFFSET for all ports")
                elif error.errno == errno.EADDRNOTAVAIL:
                    errors.append(f"{bind_variable} is no address of this machine; set it to another address")
                else:
                    errors.append(f"{port} cannot be used: {error.strerror}; set {name} to another port")
    return [*dict.fromkeys(errors)]


def find_changed_ports(config: MeshConfig, state: SupervisorState) -> list[str]:
    """Return each port of a running mesh that differs from the environment, as "EDGE_PORT is 8080, not 9080"."""
    return [
        f"{name} is {state.ports[name]}, not {number}"
        for name, (number, _) in config.ports.items()
        if state.ports.get(name, number) != number
    ]


@contextmanager
def lock_start(config: MeshConfig) -> Iterator[None]:
    """Hold the lock of commands that start the mesh; print a sentence while another command holds it."""
    with (config.folder / "start.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another command is starting this mesh; waiting until it has ended", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def print_addresses(config: MeshConfig) -> None:
    """Print the addresses of a running mesh that developers use."""
    apps = sorted(page.parent.name for page in (ROOT / "apps").glob("*/index.html"))
    print(f"apps       {' '.join(f'{config.edge_url}/{name}' for name in apps)}")
    print(f"API        {config.edge_url}/api/v1, documentation {config.edge_url}/docs")
    print(f"sandbox    {config.sandbox_url}")
    print(f"traces     {config.traces_url}")
    print("status     make status, logs: make logs, end: make down")


def start_mesh(config: MeshConfig, scope: str) -> int:
    """Start the mesh unless it is running, and wait until it is ready. Return the exit code.

    A running mesh of scope "servers" is restarted for scope "all".
    """
    with lock_start(config):
        return _start_mesh(config, scope)


def _start_mesh(config: MeshConfig, scope: str) -> int:
    state = wait_for_stopping_supervisor(config, STOP_TIMEOUT_S)
    if state is not None and (changes := find_changed_ports(config, state)):
        print(
            f"the mesh in {config.folder} is running with other ports ({changes[0]}); "
            "stop it with `make down` before it is started with new ports",
            file=sys.stderr,
        )
        return 1
    if state is not None and (state.scope, scope) == ("servers", "all"):
        stop_supervisor(config, STOP_TIMEOUT_S)
    elif state is not None:
        if state.scope == "all":
            external_callers.ensure_certificates(config)
        try:
            return progress.wait_until_ready(config, state.pid, START_TIMEOUT_S)
        except KeyboardInterrupt:
            print("interrupted; the mesh that another command has started is running on", file=sys.stderr)
            return INTERRUPTED_EXIT_CODE
    if orphans := stop_orphans(config):
        print(f"stopped {orphans} orphaned processes of a killed supervisor")
    if errors := find_ports_in_use(config, scope):
        print("\n".join(errors), file=sys.stderr)
        return 1
    return start_supervisor(
        config,
        scope,
        [sys.executable, "-P", "-m", "deploy.local.supervisor", "--only", scope],
        folder=config.folder,
        environment=os.environ | build_own_environment(config) | {"DELIVERY_STATE": str(config.folder)},
        start_timeout_s=START_TIMEOUT_S,
        stop_timeout_s=STOP_TIMEOUT_S,
    )


def stop_mesh(config: MeshConfig) -> int:
    """Stop the mesh and orphaned processes of a killed supervisor. Return the exit code."""
    has_run = read_supervisor_state(config) is not None
    stop_supervisor(config, STOP_TIMEOUT_S)
    with lock_start(config):
        if not has_run and read_supervisor_state(config) is None:
            print("the mesh is not running")
        stop_supervisor(config, STOP_TIMEOUT_S)  # another command may have started the mesh meanwhile
        if (state := read_running_state(config)) is not None:
            print(f"the supervisor with the process id {state.pid} has not stopped", file=sys.stderr)
            return 1
        stop_orphans(config)
        config.remove_temporary_socket_dir()
    return 0


def run_supervisor(config: MeshConfig, scope: str) -> int:
    """Run the supervisor in this process; `up` starts it as a subprocess. Return the exit code."""
    return asyncio.run(Supervisor(config, scope).run())


def run_demo(config: MeshConfig) -> int:
    """Run the seven scenarios and print the addresses; start the mesh if it is not running. Return the exit code."""
    if code := start_mesh(config, "all"):
        return code
    code = scenarios.main(config.edge_url, config.sandbox_url, config.traces_url)
    print_addresses(config)
    return code


def draw_diagrams(config: MeshConfig) -> int:
    """Write the diagrams in design/, and start the mesh if it is not running. Return the exit code."""
    return start_mesh(config, "all") or diagrams.main(config, ROOT / "design")


def grant_admin(config: MeshConfig, email: str) -> int:
    """Grant the admin role to the account with an email address. Return the exit code."""
    if read_running_state(config) is None:
        print(status_view.NOT_RUNNING_MESSAGE, file=sys.stderr)
        return 1
    return services.grant_admin(config, Secrets(config), email)


def run_reconciliation(config: MeshConfig) -> int:
    """Run the reconciliation of orders once. Return the exit code."""
    if read_running_state(config) is None:
        print(status_view.NOT_RUNNING_MESSAGE, file=sys.stderr)
        return 1
    return services.run_reconciliation(config, Secrets(config))


def main() -> int:
    """Run the command of the command line. Return the exit code, also after an interrupt."""
    try:
        return run_command()
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT_CODE


def run_command() -> int:
    """Run the command of the command line. Return the exit code."""
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "supervise"):
        commands.add_parser(name).add_argument("--only", choices=("all", "servers"), default="all")
    for name in ("down", "demo", "diagrams", "reconcile"):
        commands.add_parser(name)
    commands.add_parser("status").add_argument("--watch", action="store_true", help="refresh until interrupted")
    commands.add_parser("make-admin").add_argument("email")
    commands.add_parser("add-caller").add_argument("name")
    commands.add_parser("logs").add_argument("names", nargs="*")
    arguments = parser.parse_args()
    config = MeshConfig()
    config.validate()
    config.create_folder()
    remove_foreign_variables(config)
    match arguments.command:
        case "up":
            code = start_mesh(config, arguments.only)
            if code == 0 and arguments.only == "all":
                print_addresses(config)
            return code
        case "supervise":
            return run_supervisor(config, arguments.only)
        case "down":
            return stop_mesh(config)
        case "demo":
            return run_demo(config)
        case "diagrams":
            return draw_diagrams(config)
        case "make-admin":
            return grant_admin(config, arguments.email)
        case "reconcile":
            return run_reconciliation(config)
        case "logs":
            return progress.follow_logs(config, arguments.names)
        case "add-caller":
            return external_callers.add_caller(config, arguments.name)
        case _:
            return status_view.show_status(config, Console(), watch=arguments.watch)


if __name__ == "__main__":
    sys.exit(main())
