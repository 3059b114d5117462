"""Faults of nodes and machines, in an order that is derived from the seed, and their injection one after the other."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from deploy.cluster.machines import APP_MACHINES, DATA_MACHINES, ETCD_MACHINES, MACHINES
from deploy.local.mesh_config import SERVICES
from tests.cluster.clock import Clock
from tests.cluster.cluster import Cluster
from tests.cluster.probes import Probe
from tests.wait import tick, wait_until_async

DATA_ENGINES = ("postgres", "rabbitmq", "documents")
LED_ENGINES = ("etcd", "postgres", "documents")
APP_PROCESSES = ("memcached", *(f"{name}{suffix}" for name in SERVICES for suffix in ("", "-envoy")))
NODES = (
    *(f"{machine.name}-{engine}" for machine in DATA_MACHINES for engine in DATA_ENGINES),
    *(f"{machine.name}-etcd" for machine in ETCD_MACHINES),
    *(f"{machine.name}-{name}" for machine in APP_MACHINES for name in APP_PROCESSES),
)
"""All processes of which there are several."""

KILLS_PER_RUN = -(-len(NODES) // 5)
"""Number of killed nodes in a run. Five successive seeds kill every node."""

KINDS = ("kill", "pause", "partition", "disk", "skew")
PARTITION_S = 30.0
PAUSE_S = 10.0
FULL_DISK_S = 15.0
SKEW_S = 300
SKEW_DURATION_S = 10.0
"""Seconds for each of the two directions."""

OBSERVATION_S = 4.0
"""Seconds of successful writes after a fault, before the next one."""

RECOVERY_TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Fault:
    """A fault of a kind.

    `kill` is SIGKILL, and `pause` SIGSTOP for PAUSE_S, of processes; `partition` disconnects machines for PARTITION_S,
    `disk` fills the disk of PostgreSQL for FULL_DISK_S, and `skew` changes the clock of machines by SKEW_S in both
    directions. A target is a process, a machine or, as "leader of postgres", the present leader of an engine.
    """

    kind: str
    targets: tuple[str, ...]

    def __str__(self) -> str:
        """Return kind and targets."""
        return f"{self.kind} {' and '.join(self.targets)}"


@dataclass(frozen=True)
class Observation:
    """An injected fault, the processes or machines that it affected, and the gaps in seconds by probe."""

    fault: Fault
    affected: tuple[str, ...]
    gaps_s: dict[str, float]
    load: float
    """Load average of the last minute at the end of the fault."""


def plan_faults(seed: int, count: int | None = None, kinds: Collection[str] = KINDS) -> list[Fault]:
    """Return faults of each of the kinds in random order, or the first ones.

    They are a part of all faults that depends on the seed, so that a run takes minutes.
    """
    rng = random.Random(f"cluster {seed}")  # noqa: S311 (must be reproducible)
    offset = seed * KILLS_PER_RUN
    faults = [Fault("kill", (NODES[(offset + number) % len(NODES)],)) for number in range(KILLS_PER_RUN)]
    faults += [Fault("kill", (f"leader of {engine}",)) for engine in LED_ENGINES]
    pair = zip(rng.sample(DATA_MACHINES, 2), rng.sample(DATA_ENGINES, 2), strict=True)
    faults.append(Fault("kill", tuple(f"{machine.name}-{engine}" for machine, engine in pair)))
    others = ("leader of etcd", "leader of documents", rng.choice(APP_MACHINES).name)
    faults += [Fault("partition", (target,)) for target in ("leader of postgres", others[seed % len(others)])]
    faults.append(Fault("pause", (rng.choice(("leader of etcd", f"{rng.choice(ETCD_MACHINES).name}-etcd")),)))
    faults.append(Fault("disk", (f"{rng.choice(DATA_MACHINES).name}-postgres",)))
    rng.shuffle(faults)
    # First, since a job that fails while a clock is ahead is repeated SKEW_S later.
    faults.insert(0, Fault("skew", (rng.choice((DATA_MACHINES, APP_MACHINES)[seed % 2]).name,)))
    return [fault for fault in faults if fault.kind in kinds][:count]


@dataclass
class FaultInjector:
    """Injects faults, waits for the recovery after each of them, and measures the gaps of the probes."""

    cluster: Cluster
    planned_faults: Sequence[Fault]
    probes: Sequence[Probe]
    on_observation: Callable[[Observation], None]
    progressed: asyncio.Event = field(default_factory=asyncio.Event)
    observations: list[Observation] = field(default_factory=list)

    @property
    def progress(self) -> float:
        """Fraction of the faults that have been injected, 0 to 1."""
        return len(self.observations) / len(self.planned_faults)

    async def inject_all(self) -> None:
        """Inject all faults. Raises TimeoutError if the cluster does not recover."""
        for fault in self.planned_faults:
            started_at = time.monotonic()
            affected = [await self._resolve(fault, target) for target in fault.targets]
            await self._inject(fault, affected)
            await self._wait_until_recovered(str(fault))
            ended_at = time.monotonic()
            gaps_s = {probe.name: probe.measure_gap_s(started_at, ended_at) for probe in self.probes}
            self.observations.append(Observation(fault, tuple(affected), gaps_s, os.getloadavg()[0]))
            self.on_observation(self.observations[-1])
            self.progressed.set()

    async def _resolve(self, fault: Fault, target: str) -> str:
        """Return the process or machine of a target."""
        if not target.startswith("leader of "):
            return target
        engine = target.removeprefix("leader of ")
        leader = await wait_until_async(
            lambda: asyncio.to_thread(self.cluster.find_leader, engine), RECOVERY_TIMEOUT_S, 0.5
        )
        return leader.name if fault.kind == "partition" else f"{leader.name}-{engine}"

    async def _inject(self, fault: Fault, affected: Sequence[str]) -> None:
        machines = [machine for machine in MACHINES if machine.name in {name.partition("-")[0] for name in affected}]
        match fault.kind:
            case "partition":
                for machine in machines:
                    self.cluster.network.disconnect(machine)
                try:
                    await asyncio.sleep(PARTITION_S)
                finally:
                    for machine in machines:
                        self.cluster.network.reconnect(machine)
            case "pause":
                for name in affected:
                    self.cluster.send_signal(name, signal.SIGSTOP)
                try:
                    await asyncio.sleep(PAUSE_S)
                finally:
                    for name in affected:
                        self.cluster.send_signal(name, signal.SIGCONT)
            case "disk":
                disks = [self.cluster.get_disk(machine) for machine in machines]
                try:
                    async for _ in tick(1, FULL_DISK_S):
                        for disk in disks:
                            await asyncio.to_thread(disk.fill)
                        await asyncio.to_thread(self.cluster.switch_wal_segment)
                finally:
                    for disk in disks:
                        disk.free()
            case "skew":
                clocks = [Clock(self.cluster.configs[machine]) for machine in machines]
                try:
                    for offset_s in (SKEW_S, -SKEW_S):
                        for clock in clocks:
                            clock.set_offset_s(offset_s)
                        await asyncio.sleep(SKEW_DURATION_S)
                finally:
                    for clock in clocks:
                        clock.set_offset_s(0)
            case _:
                for name in affected:
                    self.cluster.send_signal(name, signal.SIGKILL)
                with suppress(TimeoutError):  # a process may be ready again between two checks
                    await wait_until_async(lambda: not self.cluster.are_all_processes_ready(), 5, 0.02)

    async def _wait_until_recovered(self, description: str) -> None:
        """Wait until all processes are ready, PostgreSQL is redundant and every probe writes; then OBSERVATION_S."""

        def is_recovered() -> bool:
            now = time.monotonic()
            return self.cluster.are_all_processes_ready() and all(
                probe.successes[-1] > now - OBSERVATION_S / 2 for probe in self.probes
            )

        async def is_redundant() -> bool:
            return is_recovered() and await asyncio.to_thread(self.cluster.is_postgres_redundant)

        await wait_until_async(is_redundant, RECOVERY_TIMEOUT_S, 0.2, description=f"recovery after {description}")
        await asyncio.sleep(OBSERVATION_S)
