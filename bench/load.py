"""Load by wrk, and the processor time that everybody who served it took."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from bench.places import ROOT

SCRIPT = ROOT / "bench/wrk.lua"
WARM_S = 1
PATIENCE_S, LOOK_S, IDLE = 60, 0.25, 0.12
"""At rest, everybody together takes less than this share of a processor."""


class Failed(Exception):
    """Requests failed, so what was measured means nothing."""


@dataclass(frozen=True)
class Sample:
    """One contender, once. Requests per second, milliseconds, and processor time per request in milliseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True)
class Contender:
    """Who is measured: a door, what is sent to it, and the processes that serve."""

    name: str
    url: str
    told: Mapping[str, str]
    pids: Callable[[], Iterable[int]]


def cpu_s(pids: Iterable[int]) -> float:
    """Processor time of processes and of their children, those that have ended included."""
    total = 0.0
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def family(pid: int) -> list[int]:
    """A process and all below it."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def settle(pids: Sequence[int]) -> None:
    """Waits until nobody has anything left to do. Raises Failed."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        before = cpu_s(pids)
        time.sleep(LOOK_S)
        if cpu_s(pids) - before < IDLE * LOOK_S:
            return
    raise Failed("it does not come to rest")


def drive(contender: Contender, connections: int, seconds: int) -> Sample:
    """Warms up, then measures; what is done after an answer, by relays and consumers, counts as well. Raises Failed."""
    _wrk(contender, connections, WARM_S)
    pids = [*contender.pids()]
    settle(pids)
    before = cpu_s(pids)
    said = _wrk(contender, connections, seconds)
    settle(pids)
    spent = cpu_s(pids) - before
    if said["failed"] or not said["requests"]:
        raise Failed(f"{contender.name}: {said}")
    return Sample(said["requests"] / said["seconds"], said["p50_ms"], said["p99_ms"], 1000 * spent / said["requests"])


def _wrk(contender: Contender, connections: int, seconds: int) -> dict[str, float]:
    program = shutil.which("wrk")
    if program is None:
        raise Failed("wrk is missing; `make bench` installs it")
    told = {**os.environ, **contender.told, "START": str(int.from_bytes(os.urandom(2)))}
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", str(SCRIPT), contender.url]
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
