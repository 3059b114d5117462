"""Senders: how urgent they are, by whom they send, and when they leave people alone."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.notifications.domain.notifications import Provider

MIN_URGENT_PRIORITY = 8
"""Agents of this priority or more have workers of their own, which nothing less urgent can keep busy."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` ("22:00", "07:00") by a user's own clock; never, when both are the same."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Agent:
    """A sender. `priority` is 1 to 10 (most urgent); its notifications are worth sending for `ttl_s` seconds."""

    id: str
    name: str
    priority: int
    providers: tuple[Provider, ...]
    ttl_s: int
    enabled: bool
    quiet_hours: QuietHours | None = None
    collapse: bool | None = None
    version: int = 1

    @property
    def etag(self) -> str:
        """Names this state of the agent."""
        return f'"{self.version}"'


def resolve_time_zone(name: str | None) -> ZoneInfo:
    """An IANA time zone; UTC when it is unknown."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def find_quiet_hours_end(quiet_hours: QuietHours | None, time_zone: str | None, now: datetime) -> datetime | None:
    """When the user may be disturbed again, later than `now`; None when it may be done now."""
    if quiet_hours is None or quiet_hours.start == quiet_hours.end:
        return None
    local = now.astimezone(resolve_time_zone(time_zone))
    start, end = time.fromisoformat(quiet_hours.start), time.fromisoformat(quiet_hours.end)
    clock = local.time()
    inside = start <= clock < end if start < end else clock >= start or clock < end
    if not inside:
        return None
    day = local.date() if clock < end else local.date() + timedelta(days=1)
    # Where clocks are set back, the end comes twice, and the first of them may be over.
    ends = (datetime.combine(day, end.replace(fold=fold), local.tzinfo).astimezone(UTC) for fold in (0, 1))
    return next((at for at in ends if at > now), now + timedelta(minutes=1))
