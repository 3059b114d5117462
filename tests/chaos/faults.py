"""What is done to the mesh, and when: all of it follows from the seed."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.chaos.mesh import Mesh

TARGET_WEIGHTS = {
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

KIND_WEIGHTS = {"kill": 6, "pause": 2, "restart": 2, "fault": 2}

SANDBOX_ENDPOINTS = ("/bank/visa", "/bank/km", "/bank/paypal", "/kitchen/1", "/kitchen/2")


@dataclass(frozen=True)
class Fault:
    """`kill` is SIGKILL, `pause` SIGSTOP and SIGCONT, `restart` its own stop signal, `fault` the sandbox's."""

    kind: str
    target: str
    delay_s: float
    """Seconds after the blow before."""
    duration_s: float = 0.0
    mode: str = ""


def plan_faults(seed: int, kills: int, gap_s: float, target_names: Sequence[str] = ()) -> list[Fault]:
    """Blows until so many processes are killed, on average `gap_s` apart; to all, or to some only."""
    targets = {name: TARGET_WEIGHTS[name] for name in target_names} or TARGET_WEIGHTS
    chance = random.Random(f"blows {seed}")  # noqa: S311 (what a seed makes, it makes again)
    made: list[Fault] = []
    while sum(blow.kind == "kill" for blow in made) < kills:
        kind = _choose_weighted(chance, KIND_WEIGHTS)
        after = chance.uniform(0.4, 1.6) * gap_s
        if kind == "fault":
            blow = Fault(
                kind, chance.choice(SANDBOX_ENDPOINTS), after, chance.uniform(1, 4), chance.choice(("error", "slow"))
            )
        else:
            lasts = chance.uniform(0.3, 7.0) if kind == "pause" else 0.0
            blow = Fault(kind, _choose_weighted(chance, targets), after, lasts)
        made.append(blow)
    return made


def _choose_weighted(rng: random.Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


@dataclass
class FaultInjector:
    """Deals them out, one after the other, while they last."""

    mesh: Mesh
    planned_faults: Sequence[Fault]
    on_fault: Callable[[str], None]
    counts_by_kind: Counter[str] = field(default_factory=Counter)
    counts_by_kind_and_target: Counter[tuple[str, str]] = field(default_factory=Counter)
    progressed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def progress(self) -> float:
        """How much of it is over, 0 to 1."""
        return self.counts_by_kind.total() / len(self.planned_faults)

    async def inject_all(self) -> None:
        """All of them; afterwards nothing is paused and nobody is told to fail."""
        async with (
            httpx.AsyncClient(base_url=self.mesh.config.sandbox_url, trust_env=False, timeout=10) as sandbox,
            asyncio.TaskGroup() as lasting,
        ):
            for blow in self.planned_faults:
                await asyncio.sleep(blow.delay_s)
                match blow.kind:
                    case "fault":
                        await sandbox.put(f"{blow.target}/fault", json={"mode": blow.mode})
                        lasting.create_task(self._clear_fault_later(sandbox, blow))
                    case "pause":
                        await self._signal_when_running(blow, signal.SIGSTOP)
                        lasting.create_task(self._resume_later(blow))
                    case "kill":
                        await self._signal_when_running(blow, signal.SIGKILL)
                    case _:
                        await self._signal_when_running(blow, self.mesh.read_process_states()[blow.target].stop_signal)
                self.counts_by_kind[blow.kind] += 1
                self.counts_by_kind_and_target[blow.kind, blow.target] += 1
                self.on_fault(f"{blow.kind} {blow.target} {blow.mode}")
                self.progressed.set()

    async def _signal_when_running(self, fault: Fault, signal_number: int) -> None:
        """Who is being started again is met as soon as it is there."""
        while not self.mesh.send_signal(fault.target, signal_number):
            await asyncio.sleep(0.1)

    async def _resume_later(self, fault: Fault) -> None:
        await asyncio.sleep(fault.duration_s)
        self.mesh.send_signal(fault.target, signal.SIGCONT)

    async def _clear_fault_later(self, sandbox: httpx.AsyncClient, fault: Fault) -> None:
        await asyncio.sleep(fault.duration_s)
        await sandbox.put(f"{fault.target}/fault", json={"mode": "none"})
