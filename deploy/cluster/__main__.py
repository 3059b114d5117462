"""`python -m deploy.cluster up|down|demo|disconnect|reconnect`: run a cluster on simulated machines, as root."""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence

from deploy.cluster.machines import (
    APP_MACHINES,
    MACHINES,
    OUTSIDE,
    MachineConfig,
    create_configs,
    get_root,
)
from deploy.cluster.network import Network
from deploy.cluster.stages import BuildEnvironment, define_stages
from deploy.local.demo import scenarios
from deploy.local.environment import remove_foreign_variables
from deploy.local.infrastructure import services
from deploy.local.mesh_config import ROOT
from deploy.local.status import progress
from deploy.local.supervisor.launcher import start_supervisor, wait_for_stopping_supervisor
from deploy.local.supervisor.supervisor import Plan, Supervisor
from deploy.local.supervisor.supervisor_state import stop_orphans, stop_supervisor

START_TIMEOUT_S = 400.0
"""Seconds that `up` waits until the cluster is ready."""

STAGE_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 90.0
"""Seconds after which a supervisor is killed."""


MODULE = "deploy.cluster"


def build_command(network: Network, command: str, module: str = MODULE) -> list[str]:
    """Return a command line of a module that runs outside of the machines."""
    return network.build_outside_command([sys.executable, "-m", module, command])


def start(config: MachineConfig, network: Network, module: str = MODULE) -> int:
    """Start the cluster unless it is running, and wait until it is ready. Return the exit code.

    The command `supervise` of the module runs the supervisor.
    """
    state = wait_for_stopping_supervisor(config, STOP_TIMEOUT_S)
    if state is not None:
        return progress.wait_until_ready(config, state.pid, START_TIMEOUT_S)
    stop_orphans(config)
    network.create()
    return start_supervisor(
        config,
        "all",
        build_command(network, "supervise", module),
        folder=ROOT,
        environment=os.environ,
        start_timeout_s=START_TIMEOUT_S,
        stop_timeout_s=STOP_TIMEOUT_S,
    )


def print_addresses(config: MachineConfig, network: Network) -> None:
    """Print the addresses of a running cluster, and how a command reaches them."""
    print(f"API        {config.edge_url}/api/v1, at {' and '.join(config.list_addresses('EDGE_PORT'))}")
    print(f"sandbox    {config.sandbox_url}")
    print(f"traces     {config.traces_url}")
    print(f"clients    {' '.join(network.build_outside_command(['COMMAND']))}")


def stop(config: MachineConfig, network: Network) -> int:
    """Stop the cluster and orphaned processes of a killed supervisor, and delete the network. Return the exit code."""
    stop_supervisor(config, STOP_TIMEOUT_S)
    if network.exists():
        stop_orphans(config)
        network.delete()
    return 0


def supervise(config: MachineConfig, network: Network, build_environment: BuildEnvironment | None = None) -> int:
    """Run the supervisor in this process, which is outside of the machines. Return the exit code."""
    configs = create_configs(get_root())
    plan = Plan(
        define_stages=lambda _config, secrets, _scope: define_stages(network, configs, secrets, build_environment),
        load_demo_data=lambda _config, secrets: services.load_demo_data(configs[APP_MACHINES[0]], secrets),
        start_timeout_s=STAGE_TIMEOUT_S,
    )
    return asyncio.run(Supervisor(config, "all", plan).run())


def run_demo(config: MachineConfig, network: Network) -> int:
    """Run the seven scenarios, and start the cluster if it is not running. Return the exit code."""
    return (
        start(config, network) or subprocess.run(build_command(network, "scenarios"), cwd=ROOT, check=False).returncode
    )


def run_scenarios(config: MachineConfig) -> int:
    """Run the scenarios in this process, which is outside of the machines. Return the exit code."""
    return scenarios.main(config.edge_url, config.sandbox_url, config.traces_url)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of the command line. Return the exit code."""
    parser = argparse.ArgumentParser(prog="deploy.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "demo", "supervise", "scenarios"):
        commands.add_parser(name)
    machines = {machine.name: machine for machine in MACHINES}
    for name in ("disconnect", "reconnect"):
        commands.add_parser(name).add_argument("machine", choices=machines)
    parsed = parser.parse_args(arguments)
    if os.geteuid() != 0:
        print("network namespaces need root", file=sys.stderr)
        return 1
    config = create_configs(get_root())[OUTSIDE]
    network = Network(config.folder)
    remove_foreign_variables(config)
    match parsed.command:
        case "up":
            if code := start(config, network):
                return code
            print_addresses(config, network)
        case "down":
            return stop(config, network)
        case "demo":
            return run_demo(config, network)
        case "supervise":
            return supervise(config, network)
        case "scenarios":
            return run_scenarios(config)
        case "disconnect":
            network.disconnect(machines[parsed.machine])
        case _:
            network.reconnect(machines[parsed.machine])
    return 0


if __name__ == "__main__":
    sys.exit(main())
