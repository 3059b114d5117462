"""Periodic background jobs, which any number of processes may run concurrently."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)

EARLY_TIMER_S = 0.005
"""Maximum seconds by which a timer of the event loop may end before its time.

A run that begins less than this before an aligned time is the run of that time; the next one is an interval later.
"""

_random = random.SystemRandom()
_phase_s = _random.uniform(0, 3600)
"""Random shift of the periodic jobs of this process, so that those of all processes do not run at the same time."""


def compute_delay_s(interval_s: float) -> float:
    """Return the seconds until the next run of a periodic job, at most its interval and EARLY_TIMER_S.

    The interval is above zero.

    Jobs of a process with the same interval, or with multiples of it, run at the same time. An idle process therefore
    wakes up less often.
    """
    delay_s = interval_s - (asyncio.get_running_loop().time() + _phase_s) % interval_s
    return delay_s if delay_s > EARLY_TIMER_S else delay_s + interval_s


def set_trigger_later(trigger: asyncio.Event, min_delay_s: float, max_delay_s: float) -> None:
    """Set the trigger of a periodic job after a random delay."""
    asyncio.get_running_loop().call_later(_random.uniform(min_delay_s, max_delay_s), trigger.set)


async def run_periodically(
    interval_s: float | Callable[[], float],
    name: str,
    work: Callable[[], Awaitable[int]],
    trigger: asyncio.Event | None = None,
) -> None:
    """Repeat `work` until it returns 0, then again after `compute_delay_s(interval_s)` seconds, until cancelled.

    `interval_s` is above zero; it may be a function that returns the interval after each run. `work` returns the number
    of processed items. Setting `trigger` starts the next run without waiting for the interval. An exception is logged,
    an unexpected one with its traceback, and the next run begins after the whole interval.
    """
    trigger = trigger or asyncio.Event()
    while True:
        trigger.clear()
        has_failed = True
        try:
            while await work():
                pass
            has_failed = False
        except ApiError as error:
            log.warning("periodic job failed: %s: %s; retrying after the interval", name, error)
        # Boundary of one run: an unexpected error must not end the process and its other jobs.
        except Exception:
            log.exception("periodic job failed: %s: unexpected error; retrying after the interval", name)
        delay_s = interval_s() if callable(interval_s) else interval_s
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s if has_failed else compute_delay_s(delay_s)):
                await trigger.wait()
