"""One run of the chaos test: inject faults under load, wait until the mesh is stable, check invariants."""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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
from tests.wait import wait_until_async

CUSTOMER_COUNT = 6

MAX_CONCURRENT_ORDERS = 12
"""Maximum number of orders in progress."""

STABLE_CHECKS = 3
"""Number of consecutive observations without findings."""


@dataclass(frozen=True)
class RunConfig:
    """Configuration of a run."""

    seed: int
    order_count: int
    kill_count: int
    fault_interval_s: float
    """Average interval between faults."""
    stabilisation_timeout_s: float
    """The run fails if findings do not decrease for this time."""
    targets: Sequence[str] = ()
    """Processes that faults are injected into. Empty: all."""
    order_timeout_s: float = 600
    """An order that takes longer is stuck."""


@dataclass(frozen=True)
class Result:
    """Result of a run."""

    config: RunConfig
    scenarios: Sequence[OrderScenario]
    final_statuses: Counter[str]
    injector: FaultInjector
    retry_counts: Counter[str]
    findings: Sequence[Finding]
    duration_s: float

    def summarise(self) -> dict[str, int]:
        """Return the number of orders and dead letters that are lost, duplicated or stuck."""
        subjects = {
            kind: {finding.subject for finding in self.findings if finding.kind == kind}
            for kind in ("lost", "duplicated", "stuck")
        }
        totals = {
            "seed": self.config.seed,
            "kills": self.injector.counts_by_kind["kill"],
            "orders": len(self.scenarios),
        }
        return totals | {kind: len(matching) for kind, matching in subjects.items()}

    def write_summary(self, path: Path) -> None:
        """Write the summary as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.summarise(), indent=2) + "\n", encoding="utf-8")


class Progress(Protocol):
    """Progress of the fault injection."""

    progressed: asyncio.Event
    """Set after each fault."""

    @property
    def progress(self) -> float:
        """Fraction of the faults that have been injected, 0 to 1."""


async def run(mesh: Mesh, config: RunConfig, console: Console) -> Result:
    """Inject faults into a running mesh under load, then check invariants."""
    started_at = time.monotonic()
    async with ChaosClient(mesh) as client:
        admin = await client.sign_in("admin@delivery.test", "demo-admin")
        deliverer = await client.sign_in("deliverer@delivery.test", "demo-deliverer")
        customers = [await client.sign_up(f"chaos-{number}") for number in range(CUSTOMER_COUNT)]
        scenarios = workload.plan_scenarios(config.seed, config.order_count, customers)
        planned_faults = faults.plan_faults(config.seed, config.kill_count, config.fault_interval_s, config.targets)
        injector = FaultInjector(
            mesh, planned_faults, lambda description: console.print(f"[dim]{description}[/]", highlight=False)
        )
        driver = WorkloadDriver(client, admin, deliverer, PartnerInboxes(client), config.order_timeout_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(injector.inject_all())
            await run_workload(driver, injector, scenarios)
        console.print(
            f"faults injected for {time.monotonic() - started_at:.0f} s; waiting until stable", highlight=False
        )
        findings, final_statuses = await wait_until_stable(
            lambda: observe(client, admin, customers, scenarios, config.targets or faults.TARGET_WEIGHTS),
            client.target.broker_url,
            config.stabilisation_timeout_s,
            console,
        )
    return Result(
        config, scenarios, final_statuses, injector, client.retry_counts, findings, time.monotonic() - started_at
    )


async def run_workload(driver: WorkloadDriver, progress: Progress, scenarios: Sequence[OrderScenario]) -> None:
    """Run all scenarios, distributed over the duration of the fault injection."""
    semaphore = asyncio.Semaphore(MAX_CONCURRENT_ORDERS)

    async def run_scenario(scenario: OrderScenario) -> None:
        async with semaphore:
            while progress.progress < scenario.number / len(scenarios) - MAX_CONCURRENT_ORDERS / len(scenarios):
                progress.progressed.clear()
                await progress.progressed.wait()
            await driver.run(scenario)

    await asyncio.gather(*map(run_scenario, scenarios))


async def wait_until_stable(
    take_observation: Callable[[], Awaitable[Observation]], broker: str, timeout_s: float, console: Console
) -> tuple[Sequence[Finding], Counter[str]]:
    """Observe until there are repeatedly no findings, or until they have not decreased for the timeout."""
    stable_checks, best, improved_at = 0, None, time.monotonic()

    async def check() -> tuple[Sequence[Finding], Counter[str]] | None:
        nonlocal stable_checks, best, improved_at
        observation = await take_observation()
        findings = check_invariants(observation)
        try:
            in_flight = await asyncio.to_thread(count_in_flight, broker)
        except AMQPError:
            in_flight = 1
        statuses = Counter(observed.order["status"] for observed in observation.orders.values() if observed.order)
        stable_checks = stable_checks + 1 if not findings and not in_flight else 0
        if stable_checks >= STABLE_CHECKS:
            return findings, statuses
        state = (len(findings), in_flight)
        if best is None or state < best:
            best, improved_at = state, time.monotonic()
            console.print(f"[dim]{len(findings)} findings, {in_flight} messages in flight[/]", highlight=False)
        if not stable_checks and time.monotonic() - improved_at > timeout_s:
            return findings or [Finding("stuck", "queues", f"{in_flight} messages remain in flight")], statuses
        return None

    return await wait_until_async(check, math.inf, 1)


def print_result(result: Result, console: Console) -> None:
    """Print a summary table and all findings."""
    table = Table(title=f"chaos · SEED={result.config.seed}", title_justify="left", box=None, show_header=False)
    counts_by_target: Counter[str] = Counter()
    for (_, target), times in result.injector.counts_by_kind_and_target.items():
        counts_by_target[target] += times
    rows = {
        "faults": _format_counts(result.injector.counts_by_kind),
        "targets": _format_counts(counts_by_target),
        "order scenarios": _format_counts(Counter(scenario.plan for scenario in result.scenarios)),
        "final statuses": _format_counts(result.final_statuses),
        "retried after": _format_counts(result.retry_counts),
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
    console.print(f"{verdict}; to repeat: SEED={result.config.seed} make test-chaos", highlight=False)


def _format_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in counts.most_common())
