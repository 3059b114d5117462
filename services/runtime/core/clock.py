"""Clocks. Use cases receive theirs as a parameter."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

type Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current UTC time with microsecond resolution."""
    return datetime.now(UTC)


def get_monotonic_time() -> datetime:
    """Return a time that never goes backwards, whose origin is arbitrary; for durations within one process."""
    return datetime.fromtimestamp(time.monotonic(), UTC)


def get_time_days_ago(days: float) -> datetime:
    """Return the time that many days before now."""
    return now() - timedelta(days=days)
