"""Node-loss test (`make test-cluster`), configured by SEED, ORDERS, KINDS of faults and FAULTS, the maximum number."""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from deploy.cluster.__main__ import build_command, start, stop, supervise
from deploy.cluster.machines import OUTSIDE, create_configs, get_root
from deploy.cluster.network import Network
from deploy.local.infrastructure import services
from tests.chaos import workload
from tests.chaos.client import ChaosClient
from tests.chaos.fast_supervisor import SHORT_TIMEOUTS
from tests.chaos.invariants import Finding
from tests.chaos.observations import observe
from tests.chaos.run import run_workload, wait_until_stable
from tests.chaos.workload import PartnerInboxes, WorkloadDriver
from tests.cluster.cluster import Cluster
from tests.cluster.faults import KINDS, FaultInjector, Observation, plan_faults
from tests.cluster.probes import Probes

MODULE = "tests.cluster"
FOLDER = ".local/cluster-test"
CUSTOMER_COUNT = 4
ORDERS_PER_FAULT = 3
ORDER_TIMEOUT_S = 600.0
STABILISATION_TIMEOUT_S = 150.0

MAX_GAPS_S: Mapping[str, float] = {"postgres": 20, "rabbitmq": 10, "documents": 15, "memcached": 2, "orders": 20}
"""Maximum time without a successful write, by probe."""

MAX_PARTITION_GAPS_S: Mapping[str, float] = {
    **MAX_GAPS_S,
    "postgres": 35,
    "rabbitmq": 15,
    "documents": 20,
    "orders": 35,
}
"""Maximum time during a partition. The lease of the leader of PostgreSQL expires after 20 seconds.

An election in etcd, whose leader may be on the same machine, extends the lease.
"""


async def run(cluster: Cluster, seed: int, fault_count: int | None, console: Console) -> list[Finding]:
    """Inject faults under a workload of orders. Return the violations of the invariants."""
    started_at = time.monotonic()
    async with ChaosClient(cluster) as client:
        admin = await client.sign_in("admin@delivery.test", "demo-admin")
        deliverer = await client.sign_in("deliverer@delivery.test", "demo-deliverer")
        probe_customer = await client.sign_in("customer@delivery.test", "demo-customer")
        customers = [await client.sign_up(f"cluster-{seed}-{number}") for number in range(CUSTOMER_COUNT)]
        kinds = [*filter(None, os.environ.get("KINDS", "").split(","))] or KINDS
        faults = plan_faults(seed, fault_count, kinds)
        order_count = int(os.environ.get("ORDERS") or len(faults) * ORDERS_PER_FAULT)
        scenarios = workload.plan_scenarios(seed, order_count, customers)
        probes = Probes(cluster, probe_customer)
        writes = asyncio.create_task(probes.run())
        injector = FaultInjector(
            cluster,
            faults,
            probes.probes,
            lambda observation: console.print(f"[dim]{_format_observation(observation)}[/]", highlight=False),
        )
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
    findings = [*findings, *_find_long_gaps(injector.observations)]
    _print_result(seed, injector.observations, len(scenarios), dict(statuses), findings, console)
    path = cluster.config.folder / "results.json"
    summary = _summarise(seed, injector.observations, len(scenarios), findings)
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return findings


def _format_observation(observation: Observation) -> str:
    gaps = ", ".join(f"{name} {gap_s:.1f}" for name, gap_s in observation.gaps_s.items())
    return f"{observation.fault} ({', '.join(observation.affected)}): seconds without a write: {gaps}"


def _find_long_gaps(observations: list[Observation]) -> list[Finding]:
    return [
        Finding("stuck", str(observation.fault), f"{gap_s:.1f} s without a write: {name}")
        for observation in observations
        for name, gap_s in observation.gaps_s.items()
        if gap_s > (MAX_PARTITION_GAPS_S if observation.fault.kind == "partition" else MAX_GAPS_S)[name]
    ]


def _summarise(seed: int, observations: list[Observation], orders: int, findings: list[Finding]) -> dict[str, object]:
    faults = [
        {
            "fault": str(each.fault),
            "affected": each.affected,
            "gaps_s": {name: round(gap_s, 1) for name, gap_s in each.gaps_s.items()},
        }
        for each in observations
    ]
    return {"seed": seed, "orders": orders, "faults": faults, "findings": [each._asdict() for each in findings]}


def _print_result(
    seed: int,
    observations: list[Observation],
    orders: int,
    statuses: dict[str, int],
    findings: list[Finding],
    console: Console,
) -> None:
    table = Table("fault", *MAX_GAPS_S, title=f"longest time without a write, in seconds · SEED={seed}", box=None)
    for each in observations:
        table.add_row(str(each.fault), *(f"{each.gaps_s[name]:.1f}" for name in MAX_GAPS_S))
    console.print(table, highlight=False)
    console.print(f"{orders} orders: {statuses}", highlight=False)
    for finding in findings:
        console.print(f"[red]{finding.kind}[/] {finding.subject}: {finding.description}", highlight=False)
    console.print(f"{'[red]failed[/]' if findings else '[green]passed[/]'}; SEED={seed}", highlight=False)


def main() -> int:
    """Start the cluster, run the test outside of its machines, and stop the cluster. Return the exit code."""
    os.environ.setdefault("CLUSTER_STATE", FOLDER)
    services.INHERITED_VARIABLES += tuple(SHORT_TIMEOUTS)  # type: ignore[assignment]
    configs = create_configs(get_root())
    config = configs[OUTSIDE]
    network = Network(config.folder)
    match sys.argv[1:]:
        case ["supervise"]:
            return supervise(config, network)
        case ["run"]:
            seed = int(os.environ["SEED"])
            count = int(os.environ["FAULTS"]) if os.environ.get("FAULTS") else None
            return 1 if asyncio.run(run(Cluster(configs), seed, count, Console(soft_wrap=True))) else 0
    limits = {"FAILED_ATTEMPTS_PER_ADDRESS": "1000000", "RATE_LIMIT_FACTOR": "10000"}
    os.environ.update({"SEED": os.environ.get("SEED") or str(secrets.randbelow(1_000_000)), **limits, **SHORT_TIMEOUTS})
    stop(config, network)
    shutil.rmtree(config.folder)
    create_configs(get_root())
    try:
        if code := start(config, network, MODULE):
            return code
        return subprocess.run(build_command(network, "run", MODULE), check=False).returncode
    finally:
        stop(config, network)


if __name__ == "__main__":
    sys.exit(main())
