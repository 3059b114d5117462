"""What providers' answers have in common."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_PAYLOAD_BYTES = 4096
"""Bytes that Google and Apple take."""


def parse_retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds out of a `Retry-After`, which holds seconds or a date; None for nonsense."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
