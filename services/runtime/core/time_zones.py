"""Time zones of the IANA database, and the moments at which their clocks are changed."""

import math
from bisect import bisect_left
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

TIME_ZONES = frozenset(available_timezones()) - {"localtime", "posixrules", "Factory"}
"""Names of the IANA database without those of the system's files and of the unset zone."""


def resolve_time_zone(name: str | None) -> ZoneInfo:
    """Return the IANA time zone, or UTC if the name is missing or unknown."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def find_offset_change(after: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the moment, in (`after`, `until`], at which the zone's offset changes; None if both offsets are equal.

    Offsets change at full seconds, and at most once a day.
    """
    offset = after.astimezone(zone).utcoffset()
    if until.astimezone(zone).utcoffset() == offset:
        return None
    first = after.replace(microsecond=0)
    seconds = range(1, math.ceil((until - first).total_seconds()) + 1)
    index = bisect_left(
        seconds, True, key=lambda second: (first + timedelta(seconds=second)).astimezone(zone).utcoffset() != offset
    )
    return first + timedelta(seconds=seconds[index])
