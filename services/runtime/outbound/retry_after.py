"""Parser of the Retry-After header (RFC 9110, section 10.2.3)."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MAX_DELAY_SECONDS_DIGITS = 8
"""Maximum number of digits of delay-seconds, about three years; a header with more is invalid."""


def parse_retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Return the delay of a Retry-After header, given as delay-seconds or HTTP-date.

    Returns zero for a date in the past, and None if the header is missing or invalid.
    """
    value = (header or "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=int(value)) if len(value) <= MAX_DELAY_SECONDS_DIGITS else None
    try:
        retry_at = parsedate_to_datetime(value)
        # An HTTP-date is in UTC; a date without a zone is parsed without one.
        retry_at = retry_at.replace(tzinfo=UTC) if retry_at.tzinfo is None else retry_at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return max(timedelta(0), retry_at - now)
