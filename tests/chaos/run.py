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

from tests.chaos import blows, lives
from tests.chaos.blows import Blows
from tests.chaos.doors import Doors
from tests.chaos.judge import Finding, Seen, judge
from tests.chaos.lives import Driver, Kitchens, Life
from tests.chaos.look import look, under_way
from tests.chaos.mesh import Mesh

CUSTOMERS = 6

AT_ONCE = 12
"""Orders that live at the same time, and wait for the blows that are meant for them."""

HELD = 3
"""Looks in a row that must find everything in order."""


@dataclass(frozen=True)
class Asked:
    """What is to be done. `gap_s` lies between blows on average; `quiet_s` is how long nothing may get better."""

    seed: int
    orders: int
    kills: int
    gap_s: float
    quiet_s: float
    targets: Sequence[str] = ()
    """Who is beaten; everybody, if nobody is named."""
    longest_s: float = 600
    """How long an order may take until it counts as stuck."""


@dataclass(frozen=True)
class Result:
    """What came of it."""

    asked: Asked
    lives: Sequence[Life]
    ends: Counter[str]
    blows: Blows
    trouble: Counter[str]
    findings: Sequence[Finding]
    seconds: float

    def summary(self) -> dict[str, int]:
        """For programs: how many orders, or dead letters, are lost, doubled, stuck."""
        about = {kind: {f.about for f in self.findings if f.kind == kind} for kind in ("lost", "doubled", "stuck")}
        counted = {"seed": self.asked.seed, "kills": self.blows.done["kill"], "orders": len(self.lives)}
        return counted | {kind: len(them) for kind, them in about.items()}

    def write(self, path: Path) -> None:
        """Keeps the summary."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.summary(), indent=2) + "\n")


async def run(mesh: Mesh, asked: Asked, console: Console) -> Result:
    """Beats the mesh, which is running, and judges what is left."""
    began = time.monotonic()
    async with Doors(mesh) as doors:
        admin = await doors.sign_in("admin@delivery.test", "demo-admin")
        deliverer = await doors.sign_in("deliverer@delivery.test", "demo-deliverer")
        customers = [await doors.sign_up(f"chaos-{number}") for number in range(CUSTOMERS)]
        to_live = lives.plan(asked.seed, asked.orders, customers)
        planned = blows.plan(asked.seed, asked.kills, asked.gap_s, asked.targets)
        beating = Blows(mesh, planned, lambda said: console.print(f"[dim]{said}[/]", highlight=False))
        driver = Driver(doors, admin, deliverer, Kitchens(doors), asked.longest_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(beating.deal())
            await _live(driver, beating, to_live)
        console.print(f"beaten for {time.monotonic() - began:.0f} s; waiting for quiet", highlight=False)
        findings, ends = await _quiet(
            lambda: look(doors, admin, customers, to_live, asked.targets or blows.TARGETS),
            doors.mesh.broker,
            asked.quiet_s,
            console,
        )
    return Result(asked, to_live, ends, beating, doors.trouble, findings, time.monotonic() - began)


async def _live(driver: Driver, beating: Blows, to_live: Sequence[Life]) -> None:
    """Orders begin as the blows go on, so that none is spared."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(life: Life) -> None:
        async with room:
            while beating.share < life.number / len(to_live) - AT_ONCE / len(to_live):
                beating.changed.clear()
                await beating.changed.wait()
            await driver.live(life)

    await asyncio.gather(*map(one, to_live))


async def _quiet(
    seeing: Callable[[], Awaitable[Seen]], broker: str, patience: float, console: Console
) -> tuple[Sequence[Finding], Counter[str]]:
    """Looks until all is in order and stays so, or until nothing has become better for so long."""
    held, best, since = 0, None, time.monotonic()
    while True:
        seen = await seeing()
        findings = judge(seen)
        try:
            waiting = await asyncio.to_thread(under_way, broker)
        except AMQPError:
            waiting = 1
        ends = Counter(facts.order["status"] for facts in seen.orders.values() if facts.order)
        held = held + 1 if not findings and not waiting else 0
        if held >= HELD:
            return findings, ends
        state = (len(findings), waiting)
        if best is None or state < best:
            best, since = state, time.monotonic()
            console.print(f"[dim]{len(findings)} not in order, {waiting} messages under way[/]", highlight=False)
        if not held and time.monotonic() - since > patience:
            return findings or [Finding("stuck", "queues", f"{waiting} messages never come to rest")], ends
        await asyncio.sleep(1)


def show(result: Result, console: Console) -> None:
    """The table, and everything that is wrong."""
    table = Table(title=f"chaos · SEED={result.asked.seed}", title_justify="left", box=None, show_header=False)
    met: Counter[str] = Counter()
    for (_, target), times in result.blows.met.items():
        met[target] += times
    rows = {
        "done": _counted(result.blows.done),
        "to whom": _counted(met),
        "orders meant to": _counted(Counter(life.plan for life in result.lives)),
        "orders ended": _counted(result.ends),
        "asked again after": _counted(result.trouble),
        "seconds": f"{result.seconds:.0f}",
        **{name: str(number) for name, number in result.summary().items() if name != "seed"},
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table, highlight=False)
    for finding in result.findings:
        console.print(f"[red]{finding.kind}[/] {finding.about}: {finding.words}", highlight=False, soft_wrap=True)
    verdict = "[red]failed[/]" if result.findings else "[green]passed[/]"
    console.print(f"{verdict}; the same again: SEED={result.asked.seed} make chaos", highlight=False)


def _counted(of: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in of.most_common())
