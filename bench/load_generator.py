"""Load by wrk, and the processor time that everybody who served it took."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from bench.paths import ROOT

WRK_SCRIPT = ROOT / "bench/wrk.lua"
WARMUP_S = 1
IDLE_TIMEOUT_S, IDLE_POLL_INTERVAL_S, MAX_IDLE_CPU_SHARE = 60, 0.25, 0.12
"""At rest, everybody together takes less than this share of a processor."""


class LoadError(Exception):
    """Requests failed, so what was measured means nothing."""


@dataclass(frozen=True)
class Sample:
    """One contender, once. Requests per second, milliseconds, and processor time per request in milliseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True)
class Target:
    """Who is measured: a door, what is sent to it, and the processes that serve."""

    name: str
    url: str
    environment: Mapping[str, str]
    list_pids: Callable[[], Iterable[int]]


def measure_cpu_s(pids: Iterable[int]) -> float:
    """Processor time of processes and of their children, those that have ended included."""
    total = 0.0
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def list_process_tree(pid: int) -> list[int]:
    """A process and all below it."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def wait_until_idle(pids: Sequence[int]) -> None:
    """Waits until nobody has anything left to do. Raises Failed."""
    end = time.monotonic() + IDLE_TIMEOUT_S
    while time.monotonic() < end:
        before = measure_cpu_s(pids)
        time.sleep(IDLE_POLL_INTERVAL_S)
        if measure_cpu_s(pids) - before < MAX_IDLE_CPU_SHARE * IDLE_POLL_INTERVAL_S:
            return
    raise LoadError("it does not come to rest")


def run_load(target: Target, connections: int, seconds: int) -> Sample:
    """Warms up, then measures; what is done after an answer, by relays and consumers, counts as well. Raises Failed."""
    _run_wrk(target, connections, WARMUP_S)
    pids = [*target.list_pids()]
    wait_until_idle(pids)
    before = measure_cpu_s(pids)
    said = _run_wrk(target, connections, seconds)
    wait_until_idle(pids)
    spent = measure_cpu_s(pids) - before
    if said["failed"] or not said["requests"]:
        raise LoadError(f"{target.name}: {said}")
    return Sample(said["requests"] / said["seconds"], said["p50_ms"], said["p99_ms"], 1000 * spent / said["requests"])


def _run_wrk(target: Target, connections: int, seconds: int) -> dict[str, float]:
    program = shutil.which("wrk")
    if program is None:
        raise LoadError("wrk is missing; `make bench` installs it")
    told = {**os.environ, **target.environment, "START": str(int.from_bytes(os.urandom(2)))}
    command = [
        program,
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "5s",
        "-s",
        str(WRK_SCRIPT),
        target.url,
    ]
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
