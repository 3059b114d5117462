"""The time, as use cases see it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

type Clock = Callable[[], datetime]


def now() -> datetime:
    """The time, in UTC, to the microsecond."""
    return datetime.now(UTC)


def days_ago(days: float) -> datetime:
    """The time so many days ago."""
    return now() - timedelta(days=days)
