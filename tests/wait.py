"""Polling of a condition, for synchronous and asynchronous tests and for benchmarks."""

import asyncio
import inspect
import math
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import overload

import httpx

TIMEOUT_S = 20.0
INTERVAL_S = 0.02


class _Deadline:
    """End of a poll."""

    def __init__(self, timeout_s: float, description: str) -> None:
        self._end = time.monotonic() + timeout_s
        self._error = f"{description or 'condition'}: timeout after {timeout_s:g} s"

    def check(self) -> None:
        if time.monotonic() > self._end:
            raise TimeoutError(self._error)


def wait_until[T](
    condition: Callable[[], T | None],
    timeout_s: float = TIMEOUT_S,
    *,
    interval_s: float = INTERVAL_S,
    description: str = "",
) -> T:
    """Poll the condition until its result is true, and return the result. Raises TimeoutError."""
    deadline = _Deadline(timeout_s, description)
    while not (result := condition()):
        deadline.check()
        time.sleep(interval_s)
    return result


@overload
async def wait_until_async[T](
    condition: Callable[[], Awaitable[T | None]],
    timeout_s: float = TIMEOUT_S,
    interval_s: float = INTERVAL_S,
    *,
    description: str = "",
) -> T: ...


@overload
async def wait_until_async[T](
    condition: Callable[[], T | None],
    timeout_s: float = TIMEOUT_S,
    interval_s: float = INTERVAL_S,
    *,
    description: str = "",
) -> T: ...


async def wait_until_async(
    condition: Callable[[], object],
    timeout_s: float = TIMEOUT_S,
    interval_s: float = INTERVAL_S,
    *,
    description: str = "",
) -> object:
    """Poll a condition, which may be asynchronous, until its result is true, and return it. Raises TimeoutError.

    With an interval of 0, the condition is checked in every iteration of the event loop.
    """
    deadline = _Deadline(timeout_s, description)
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        deadline.check()
        await asyncio.sleep(interval_s)


async def tick(interval_s: float, duration_s: float = math.inf) -> AsyncIterator[None]:
    """Yield at once and then after each interval, for the duration: for load at a constant rate."""
    end = time.monotonic() + duration_s
    while time.monotonic() < end:
        yield
        await asyncio.sleep(interval_s)


def wait_until_process_is_ready(
    process: subprocess.Popen[bytes], url: str, timeout_s: float, log_path: Path | None = None
) -> None:
    """Poll the URL until it responds with success. Raises AssertionError with the log if the process is not ready."""
    with closing(httpx.Client(trust_env=False, timeout=1)) as client:

        def is_ready_or_exited() -> bool:
            if process.poll() is not None:
                return True
            try:
                return client.get(url).is_success
            except httpx.TransportError:
                return False

        try:
            wait_until(is_ready_or_exited, timeout_s)
            is_ready = process.poll() is None
        except TimeoutError:
            is_ready = False
    if not is_ready:
        log = log_path.read_text(encoding="utf-8") if log_path else ""
        raise AssertionError(f"{url} is not ready within {timeout_s:g} s\n{log}")
