"""Polling of a condition, for synchronous tests and benchmarks."""

import time
from collections.abc import Callable

TIMEOUT_S = 20.0


def wait_until[T](
    condition: Callable[[], T | None], timeout_s: float = TIMEOUT_S, *, interval_s: float = 0.02, description: str = ""
) -> T:
    """Poll the condition until its result is true, and return the result. Raises TimeoutError."""
    end = time.monotonic() + timeout_s
    while not (result := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{description or 'condition'}: timeout after {timeout_s:g} s")
        time.sleep(interval_s)
    return result
