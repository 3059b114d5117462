"""What is done to the mesh, and when: all of it follows from the seed."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.chaos.mesh import Mesh

TARGETS = {
    "gateway": 2,
    "orders": 4,
    "partners": 3,
    "notifications": 2,
    "gateway-envoy": 1,
    "orders-envoy": 1,
    "partners-envoy": 1,
    "notifications-envoy": 1,
    "postgres": 3,
    "rabbitmq": 3,
    "memcached": 1,
    "documents": 2,
}
"""Whom it meets, and how often as compared to the others. The outside world stays: it is what judges."""

KINDS = {"kill": 6, "pause": 2, "restart": 2, "fault": 2}

PLACES = ("/bank/visa", "/bank/km", "/bank/paypal", "/kitchen/1", "/kitchen/2")


@dataclass(frozen=True)
class Blow:
    """`kill` is SIGKILL, `pause` SIGSTOP and SIGCONT, `restart` its own stop signal, `fault` the sandbox's."""

    kind: str
    target: str
    after_s: float
    """Seconds after the blow before."""
    lasts_s: float = 0.0
    mode: str = ""


def plan(seed: int, kills: int, gap_s: float, only: Sequence[str] = ()) -> list[Blow]:
    """Blows until so many processes are killed, on average `gap_s` apart; to all, or to some only."""
    targets = {name: TARGETS[name] for name in only} or TARGETS
    chance = random.Random(f"blows {seed}")  # noqa: S311 (what a seed makes, it makes again)
    made: list[Blow] = []
    while sum(blow.kind == "kill" for blow in made) < kills:
        kind = _weighted(chance, KINDS)
        after = chance.uniform(0.4, 1.6) * gap_s
        if kind == "fault":
            blow = Blow(kind, chance.choice(PLACES), after, chance.uniform(1, 4), chance.choice(("error", "slow")))
        else:
            lasts = chance.uniform(0.3, 7.0) if kind == "pause" else 0.0
            blow = Blow(kind, _weighted(chance, targets), after, lasts)
        made.append(blow)
    return made


def _weighted(chance: random.Random, of: dict[str, int]) -> str:
    return chance.choices(list(of), list(of.values()))[0]


@dataclass
class Blows:
    """Deals them out, one after the other, while they last."""

    mesh: Mesh
    planned: Sequence[Blow]
    told: Callable[[str], None]
    done: Counter[str] = field(default_factory=Counter)
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def share(self) -> float:
        """How much of it is over, 0 to 1."""
        return self.done.total() / len(self.planned)

    async def deal(self) -> None:
        """All of them; afterwards nothing is paused and nobody is told to fail."""
        async with (
            httpx.AsyncClient(base_url=self.mesh.state.sandbox, trust_env=False, timeout=10) as sandbox,
            asyncio.TaskGroup() as lasting,
        ):
            for blow in self.planned:
                await asyncio.sleep(blow.after_s)
                match blow.kind:
                    case "fault":
                        await sandbox.put(f"{blow.target}/fault", json={"mode": blow.mode})
                        lasting.create_task(self._mended(sandbox, blow))
                    case "pause":
                        await self._meet(blow, signal.SIGSTOP)
                        lasting.create_task(self._resumed(blow))
                    case "kill":
                        await self._meet(blow, signal.SIGKILL)
                    case _:
                        await self._meet(blow, self.mesh.children()[blow.target].stop_signal)
                self.done[blow.kind] += 1
                self.met[blow.kind, blow.target] += 1
                self.told(f"{blow.kind} {blow.target} {blow.mode}")
                self.changed.set()

    async def _meet(self, blow: Blow, number: int) -> None:
        """Who is being started again is met as soon as it is there."""
        while not self.mesh.signal(blow.target, number):
            await asyncio.sleep(0.1)

    async def _resumed(self, blow: Blow) -> None:
        await asyncio.sleep(blow.lasts_s)
        self.mesh.signal(blow.target, signal.SIGCONT)

    async def _mended(self, sandbox: httpx.AsyncClient, blow: Blow) -> None:
        await asyncio.sleep(blow.lasts_s)
        await sandbox.put(f"{blow.target}/fault", json={"mode": "none"})
