"""Helpers shared by the HTTP provider clients."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_PAYLOAD_BYTES = 4096
"""Maximum payload size that FCM and APNs accept."""


def parse_retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a `Retry-After` header (seconds or HTTP date), or None if it is missing or invalid."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        retry_at = parsedate_to_datetime(header)
    except ValueError:
        return None
    retry_at = retry_at if retry_at.tzinfo else retry_at.replace(tzinfo=UTC)
    return max(0.0, (retry_at - (now or datetime.now(UTC))).total_seconds())
