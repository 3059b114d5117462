"""One run: a mesh is beaten while orders live in it, left alone until it is quiet, and judged."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pika.exceptions import AMQPError
from rich.console import Console
from rich.table import Table

from tests.chaos import faults, workload
from tests.chaos.client import ChaosClient
from tests.chaos.faults import FaultInjector
from tests.chaos.invariants import Finding, Observation, check_invariants
from tests.chaos.mesh import Mesh
from tests.chaos.observations import count_in_flight, observe
from tests.chaos.workload import OrderScenario, PartnerInboxes, WorkloadDriver

CUSTOMER_COUNT = 6

MAX_CONCURRENT_ORDERS = 12
"""Orders that live at the same time, and wait for the blows that are meant for them."""

STABLE_CHECKS = 3
"""Looks in a row that must find everything in order."""


@dataclass(frozen=True)
class RunConfig:
    """What is to be done. `gap_s` lies between blows on average; `quiet_s` is how long nothing may get better."""

    seed: int
    order_count: int
    kill_count: int
    fault_interval_s: float
    stabilisation_timeout_s: float
    targets: Sequence[str] = ()
    """Who is beaten; everybody, if nobody is named."""
    order_timeout_s: float = 600
    """How long an order may take until it counts as stuck."""


@dataclass(frozen=True)
class Result:
    """What came of it."""

    config: RunConfig
    scenarios: Sequence[OrderScenario]
    final_statuses: Counter[str]
    injector: FaultInjector
    retry_counts: Counter[str]
    findings: Sequence[Finding]
    duration_s: float

    def summarise(self) -> dict[str, int]:
        """For programs: how many orders, or dead letters, are lost, doubled, stuck."""
        about = {kind: {f.subject for f in self.findings if f.kind == kind} for kind in ("lost", "doubled", "stuck")}
        counted = {
            "seed": self.config.seed,
            "kills": self.injector.counts_by_kind["kill"],
            "orders": len(self.scenarios),
        }
        return counted | {kind: len(them) for kind, them in about.items()}

    def write_summary(self, path: Path) -> None:
        """Keeps the summary."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.summarise(), indent=2) + "\n")


async def run(mesh: Mesh, config: RunConfig, console: Console) -> Result:
    """Beats the mesh, which is running, and judges what is left."""
    began = time.monotonic()
    async with ChaosClient(mesh) as doors:
        admin = await doors.sign_in("admin@delivery.test", "demo-admin")
        deliverer = await doors.sign_in("deliverer@delivery.test", "demo-deliverer")
        customers = [await doors.sign_up(f"chaos-{number}") for number in range(CUSTOMER_COUNT)]
        to_live = workload.plan_scenarios(config.seed, config.order_count, customers)
        planned = faults.plan_faults(config.seed, config.kill_count, config.fault_interval_s, config.targets)
        beating = FaultInjector(mesh, planned, lambda said: console.print(f"[dim]{said}[/]", highlight=False))
        driver = WorkloadDriver(doors, admin, deliverer, PartnerInboxes(doors), config.order_timeout_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(beating.inject_all())
            await _run_workload(driver, beating, to_live)
        console.print(f"beaten for {time.monotonic() - began:.0f} s; waiting for quiet", highlight=False)
        findings, ends = await _wait_until_stable(
            lambda: observe(doors, admin, customers, to_live, config.targets or faults.TARGET_WEIGHTS),
            doors.mesh.broker_url,
            config.stabilisation_timeout_s,
            console,
        )
    return Result(config, to_live, ends, beating, doors.retry_counts, findings, time.monotonic() - began)


async def _run_workload(driver: WorkloadDriver, injector: FaultInjector, scenarios: Sequence[OrderScenario]) -> None:
    """Orders begin as the blows go on, so that none is spared."""
    room = asyncio.Semaphore(MAX_CONCURRENT_ORDERS)

    async def one(life: OrderScenario) -> None:
        async with room:
            while injector.progress < life.number / len(scenarios) - MAX_CONCURRENT_ORDERS / len(scenarios):
                injector.progressed.clear()
                await injector.progressed.wait()
            await driver.run(life)

    await asyncio.gather(*map(one, scenarios))


async def _wait_until_stable(
    take_observation: Callable[[], Awaitable[Observation]], broker: str, timeout_s: float, console: Console
) -> tuple[Sequence[Finding], Counter[str]]:
    """Looks until all is in order and stays so, or until nothing has become better for so long."""
    held, best, since = 0, None, time.monotonic()
    while True:
        seen = await take_observation()
        findings = check_invariants(seen)
        try:
            waiting = await asyncio.to_thread(count_in_flight, broker)
        except AMQPError:
            waiting = 1
        ends = Counter(facts.order["status"] for facts in seen.orders.values() if facts.order)
        held = held + 1 if not findings and not waiting else 0
        if held >= STABLE_CHECKS:
            return findings, ends
        state = (len(findings), waiting)
        if best is None or state < best:
            best, since = state, time.monotonic()
            console.print(f"[dim]{len(findings)} not in order, {waiting} messages under way[/]", highlight=False)
        if not held and time.monotonic() - since > timeout_s:
            return findings or [Finding("stuck", "queues", f"{waiting} messages never come to rest")], ends
        await asyncio.sleep(1)


def print_result(result: Result, console: Console) -> None:
    """The table, and everything that is wrong."""
    table = Table(title=f"chaos · SEED={result.config.seed}", title_justify="left", box=None, show_header=False)
    met: Counter[str] = Counter()
    for (_, target), times in result.injector.counts_by_kind_and_target.items():
        met[target] += times
    rows = {
        "done": _format_counts(result.injector.counts_by_kind),
        "to whom": _format_counts(met),
        "orders meant to": _format_counts(Counter(life.plan for life in result.scenarios)),
        "orders ended": _format_counts(result.final_statuses),
        "asked again after": _format_counts(result.retry_counts),
        "seconds": f"{result.duration_s:.0f}",
        **{name: str(number) for name, number in result.summarise().items() if name != "seed"},
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table, highlight=False)
    for finding in result.findings:
        console.print(
            f"[red]{finding.kind}[/] {finding.subject}: {finding.description}", highlight=False, soft_wrap=True
        )
    verdict = "[red]failed[/]" if result.findings else "[green]passed[/]"
    console.print(f"{verdict}; the same again: SEED={result.config.seed} make chaos", highlight=False)


def _format_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in counts.most_common())
