"""The time, as use cases see it."""

from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]


def now() -> datetime:
    """The time, in UTC, to the microsecond."""
    return datetime.now(UTC)
