"""Fault plan of the chaos test, derived from the seed, and its injection."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from deploy.local.mesh_config import SERVICES
from tests.chaos.mesh import Mesh
from tests.wait import wait_until_async

TARGET_WEIGHTS = {
    **dict.fromkeys(SERVICES, 2),
    **dict.fromkeys((f"{name}-envoy" for name in SERVICES), 1),
    "orders": 4,
    "partners": 3,
    "postgres": 3,
    "rabbitmq": 3,
    "memcached": 1,
    "documents": 2,
}
"""Relative frequency of faults by process. The sandbox is excluded, because the invariants are checked against it."""

KIND_WEIGHTS = {"kill": 6, "pause": 2, "restart": 2, "fault": 2}

RESTART_TIMEOUT_S = 240.0
"""Timeout until a killed process runs again, before its next fault."""

SANDBOX_ENDPOINTS = ("/bank/visa", "/bank/km", "/bank/paypal", "/kitchen/1", "/kitchen/2")


@dataclass(frozen=True)
class Fault:
    """A fault of a kind: SIGKILL (`kill`), SIGSTOP and SIGCONT (`pause`), the stop signal (`restart`), or `fault`.

    `fault` is a fault of a sandbox endpoint.
    """

    kind: str
    target: str
    delay_s: float
    """Delay after the previous fault."""
    duration_s: float = 0.0
    mode: str = ""


def plan_faults(seed: int, kills: int, interval_s: float, target_names: Sequence[str] = ()) -> list[Fault]:
    """Plan faults until the number of kills is reached, at an average interval, for all or for the named targets."""
    targets = {name: TARGET_WEIGHTS[name] for name in target_names} or TARGET_WEIGHTS
    rng = random.Random(f"faults {seed}")  # noqa: S311 (must be reproducible)
    faults: list[Fault] = []
    while sum(fault.kind == "kill" for fault in faults) < kills:
        kind = _choose_weighted(rng, KIND_WEIGHTS)
        delay_s = rng.uniform(0.4, 1.6) * interval_s
        if kind == "fault":
            fault = Fault(
                kind, rng.choice(SANDBOX_ENDPOINTS), delay_s, rng.uniform(1, 4), rng.choice(("error", "slow"))
            )
        else:
            duration_s = rng.uniform(0.3, 7.0) if kind == "pause" else 0.0
            fault = Fault(kind, _choose_weighted(rng, targets), delay_s, duration_s)
        faults.append(fault)
    return faults


def _choose_weighted(rng: random.Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


@dataclass
class FaultInjector:
    """Injects the planned faults one after the other."""

    mesh: Mesh
    planned_faults: Sequence[Fault]
    on_fault: Callable[[str], None]
    counts_by_kind: Counter[str] = field(default_factory=Counter)
    counts_by_kind_and_target: Counter[tuple[str, str]] = field(default_factory=Counter)
    progressed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def progress(self) -> float:
        """Fraction of the faults that have been injected, 0 to 1."""
        return self.counts_by_kind.total() / len(self.planned_faults)

    async def inject_all(self) -> None:
        """Inject all faults. On return, no process is paused and no sandbox fault is active."""
        async with (
            httpx.AsyncClient(base_url=self.mesh.config.sandbox_url, trust_env=False, timeout=10) as sandbox,
            asyncio.TaskGroup() as tasks,
        ):
            for fault in self.planned_faults:
                await asyncio.sleep(fault.delay_s)
                match fault.kind:
                    case "fault":
                        await sandbox.put(f"{fault.target}/fault", json={"mode": fault.mode})
                        tasks.create_task(self._clear_fault_later(sandbox, fault))
                    case "pause":
                        await self._signal_when_running(fault, signal.SIGSTOP)
                        tasks.create_task(self._resume_later(fault))
                    case "kill":
                        await self._signal_when_running(fault, signal.SIGKILL)
                    case _:
                        await self._signal_when_running(
                            fault, self.mesh.read_process_states()[fault.target].stop_signal
                        )
                self.counts_by_kind[fault.kind] += 1
                self.counts_by_kind_and_target[fault.kind, fault.target] += 1
                self.on_fault(f"{fault.kind} {fault.target} {fault.mode}")
                self.progressed.set()

    async def _signal_when_running(self, fault: Fault, signal_number: int) -> None:
        """Send the signal as soon as the process runs."""
        await wait_until_async(
            lambda: self.mesh.send_signal(fault.target, signal_number),
            RESTART_TIMEOUT_S,
            0.1,
            description=f"{fault.target} is running",
        )

    async def _resume_later(self, fault: Fault) -> None:
        await asyncio.sleep(fault.duration_s)
        self.mesh.send_signal(fault.target, signal.SIGCONT)

    async def _clear_fault_later(self, sandbox: httpx.AsyncClient, fault: Fault) -> None:
        await asyncio.sleep(fault.duration_s)
        await sandbox.put(f"{fault.target}/fault", json={"mode": "none"})
