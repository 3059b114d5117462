"""Node-loss test (`make test-cluster`), configured by SEED, ORDERS, KINDS of faults and FAULTS, the maximum number."""

import asyncio
import logging
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from rich.console import Console

from deploy.cluster.__main__ import build_command, start, stop, supervise
from deploy.cluster.machines import MACHINES, OUTSIDE, Machine, MachineConfig, create_configs, get_root
from deploy.cluster.network import Network
from deploy.cluster.stages import BuildEnvironment
from deploy.local.infrastructure import services
from deploy.local.supervisor.process import ProcessSpec
from tests.chaos import workload
from tests.chaos.client import ChaosClient
from tests.chaos.fast_supervisor import SHORT_TIMEOUTS
from tests.chaos.observations import observe
from tests.chaos.run import run_workload, wait_until_stable
from tests.chaos.workload import PartnerInboxes, WorkloadDriver
from tests.cluster.clock import Clock, remove_stale_shared_memory
from tests.cluster.cluster import Cluster
from tests.cluster.faults import KINDS, SKEW_S, Fault, FaultInjector, Observation, plan_faults
from tests.cluster.probes import Probes
from tests.cluster.report import Result, find_long_gaps, format_observation
from tests.cluster.small_disk import mount_small_disk
from tests.wait import wait_until_async

MODULE = "tests.cluster"
FOLDER = ".local/cluster-test"
CUSTOMER_COUNT = 4
ORDERS_PER_FAULT = 4
ORDER_TIMEOUT_S = 600.0
FIRST_WRITES_TIMEOUT_S = 60.0

STABILISATION_TIMEOUT_S = 150.0 + SKEW_S
"""Seconds without a change after which unfinished work is lost.

A job that failed while the clock of its machine was ahead is due when the other clocks have reached the time of its
next attempt.
"""


def plan() -> tuple[int, list[Fault]]:
    """Return the seed of the environment, and the faults that the environment selects."""
    seed = int(os.environ["SEED"])
    count = int(os.environ["FAULTS"]) if os.environ.get("FAULTS") else None
    return seed, plan_faults(seed, count, [*filter(None, os.environ.get("KINDS", "").split(","))] or KINDS)


async def run(cluster: Cluster, seed: int, faults: Sequence[Fault], console: Console) -> Result:
    """Inject faults under a workload of orders, and check the invariants."""
    started_at = time.monotonic()
    async with ChaosClient(cluster) as client:
        admin = await client.sign_in("admin@delivery.test", "demo-admin")
        deliverer = await client.sign_in("deliverer@delivery.test", "demo-deliverer")
        probe_customer = await client.sign_in("customer@delivery.test", "demo-customer")
        customers = [await client.sign_up(f"cluster-{seed}-{number}") for number in range(CUSTOMER_COUNT)]
        order_count = int(os.environ.get("ORDERS") or len(faults) * ORDERS_PER_FAULT)
        scenarios = workload.plan_scenarios(seed, order_count, customers)
        probes = Probes(cluster, probe_customer)
        writes = asyncio.create_task(probes.run())
        await wait_until_async(probes.have_written, FIRST_WRITES_TIMEOUT_S, description="first writes of all probes")

        def show(observation: Observation) -> None:
            number, elapsed_s = len(injector.observations), time.monotonic() - started_at
            line = format_observation(observation, number, len(faults), elapsed_s)
            console.print(f"[dim]{line}[/]", highlight=False)

        injector = FaultInjector(cluster, faults, probes.probes, show)
        driver = WorkloadDriver(client, admin, deliverer, PartnerInboxes(client), ORDER_TIMEOUT_S)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(injector.inject_all())
            await run_workload(driver, injector, scenarios)
        writes.cancel()
        await asyncio.wait([writes])
        console.print(f"faults injected for {time.monotonic() - started_at:.0f} s; waiting until stable")
        findings, statuses = await wait_until_stable(
            lambda: observe(client, admin, customers, scenarios, {"postgres"}),
            client.target.broker_url,
            STABILISATION_TIMEOUT_S,
            console,
        )
    findings = [*findings, *find_long_gaps(injector.observations)]
    duration_s = time.monotonic() - started_at
    return Result(seed, injector.observations, len(scenarios), statuses, findings, duration_s)


def prepare_machines(configs: Mapping[Machine, MachineConfig], faults: Sequence[Fault]) -> BuildEnvironment:
    """Mount small disks. Return the function of environment variables, which give the processes a clock to skew.

    Envoy does not start with libfaketime, so that its clock is correct.
    """
    targets = {kind: {target for each in faults if each.kind == kind for target in each.targets} for kind in KINDS}
    for machine in MACHINES:
        if f"{machine.name}-postgres" in targets["disk"]:
            mount_small_disk(configs[machine])
    skewed = [machine for machine in MACHINES if machine.name in targets["skew"]]
    environments = {machine: Clock(configs[machine]).build_environment() for machine in skewed}

    def build_environment(machine: Machine, process: ProcessSpec) -> Mapping[str, str]:
        return {} if process.name.endswith("-envoy") else environments.get(machine, {})

    return build_environment


def main() -> int:
    """Start the cluster, run the test outside of its machines, and stop the cluster. Return the exit code."""
    os.environ.setdefault("CLUSTER_STATE", FOLDER)
    services.INHERITED_VARIABLES += tuple(SHORT_TIMEOUTS)  # type: ignore[assignment]
    configs = create_configs(get_root())
    config = configs[OUTSIDE]
    network = Network(config.folder)
    match sys.argv[1:]:
        case ["supervise"]:
            _, faults = plan()
            return supervise(config, network, prepare_machines(configs, faults))
        case ["run"]:
            path = config.ensure_subdirectory("logs") / "probes.log"
            logging.basicConfig(filename=path, format="%(asctime)s %(name)s %(message)s")
            console = Console(soft_wrap=True, width=140)
            result = asyncio.run(run(Cluster(configs), *plan(), console))
            result.print(console)
            result.write(config.folder / "results.json")
            return 1 if result.findings else 0
    limits = {"FAILED_ATTEMPTS_PER_ADDRESS": "1000000", "RATE_LIMIT_FACTOR": "10000"}
    os.environ.update({"SEED": os.environ.get("SEED") or str(secrets.randbelow(1_000_000)), **limits, **SHORT_TIMEOUTS})
    started_at = time.monotonic()
    stop(config, network)
    shutil.rmtree(config.folder)
    create_configs(get_root())
    try:
        print(f"starting the cluster; SEED={os.environ['SEED']}", flush=True)
        if code := start(config, network, MODULE):
            return code
        print(f"started after {time.monotonic() - started_at:.0f} s", flush=True)
        return subprocess.run(build_command(network, "run", MODULE), check=False).returncode
    finally:
        stop(config, network)
        remove_stale_shared_memory()
        print(f"stopped after {time.monotonic() - started_at:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
