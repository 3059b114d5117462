"""Load generation with wrk, and the CPU time of all processes that serve it."""

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
"""Processes are idle when together they use less than this share of one processor."""


class LoadError(Exception):
    """Requests failed, so the measurement is invalid."""


@dataclass(frozen=True)
class Sample:
    """One measurement of a target: requests per second, latencies in ms, and CPU time per request in ms."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True)
class Target:
    """A measured system: its URL, the environment of wrk, and the processes that serve it."""

    name: str
    url: str
    environment: Mapping[str, str]
    list_pids: Callable[[], Iterable[int]]


def measure_cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds of processes and of their terminated children."""
    total = 0.0
    for pid in pids:
        try:
            children = psutil.Process(pid).cpu_times()
            total += time.clock_gettime(_get_cpu_clock(pid)) + children.children_user + children.children_system
        except (psutil.NoSuchProcess, OSError):
            continue  # the process has terminated, so that its parent counts its time
    return total


def _get_cpu_clock(pid: int) -> int:
    """Return the id of a process's CPU clock, as `clock_getcpuclockid(3)`; its unit is a nanosecond, not a tick."""
    return (~pid << 3) | 2


def list_process_tree(pid: int) -> list[int]:
    """Return the ids of a process and of its descendants."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def wait_until_idle(pids: Sequence[int]) -> None:
    """Wait until the processes are idle. Raises LoadError after a timeout."""
    end = time.monotonic() + IDLE_TIMEOUT_S
    while time.monotonic() < end:
        before = measure_cpu_s(pids)
        time.sleep(IDLE_POLL_INTERVAL_S)
        if measure_cpu_s(pids) - before < MAX_IDLE_CPU_SHARE * IDLE_POLL_INTERVAL_S:
            return
    raise LoadError(f"processes are not idle after {IDLE_TIMEOUT_S} s")


def run_load(target: Target, connections: int, seconds: int, warmup_s: int = WARMUP_S) -> Sample:
    """Warm up, then measure. CPU time of relays and consumers after the last response counts, too. Raises LoadError."""
    if warmup_s:
        run_wrk(target, connections, warmup_s)
    pids = [*target.list_pids()]
    wait_until_idle(pids)
    before = measure_cpu_s(pids)
    result = run_wrk(target, connections, seconds)
    wait_until_idle(pids)
    cpu_s = measure_cpu_s(pids) - before
    if result["failed"] or not result["requests"]:
        raise LoadError(f"{target.name}: {result}")
    return Sample(
        result["requests"] / result["seconds"], result["p50_ms"], result["p99_ms"], 1000 * cpu_s / result["requests"]
    )


def run_wrk(target: Target, connections: int, seconds: int) -> dict[str, float]:
    """Run wrk and return the summary of bench/wrk.lua. Raises LoadError if wrk is missing."""
    program = shutil.which("wrk")
    if program is None:
        raise LoadError("wrk is missing; `make bench` installs it")
    environment = {**os.environ, **target.environment, "START": str(int.from_bytes(os.urandom(2)))}
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
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, encoding="utf-8")
    result: dict[str, float] = json.loads(completed.stdout.splitlines()[-1])
    return result
