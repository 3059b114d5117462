"""Clock that use cases receive as a parameter."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

type Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current UTC time with microsecond resolution."""
    return datetime.now(UTC)


def days_ago(days: float) -> datetime:
    """Return the time that many days before now."""
    return now() - timedelta(days=days)
