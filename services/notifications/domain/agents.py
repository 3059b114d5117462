"""Notification agents and quiet hours."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.notifications.domain.notifications import Provider

MIN_URGENT_PRIORITY = 8
"""Agents of this priority or higher have a worker pool of their own, which less urgent jobs cannot occupy."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Daily interval from `start` to `end` ("22:00", "07:00") in the user's time zone; empty if both are equal."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Agent:
    """Notification agent: the priority, providers and preferences of a group of notifications.

    `priority` is 1 to 10, 10 being the most urgent; `ttl_s` is the time to live of a notification in seconds.
    """

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
        """Return the entity tag of this version."""
        return f'"{self.version}"'


class ProviderKeys(NamedTuple):
    """An agent's own credentials for providers, as JSON; None if the default ones are used."""

    fcm: str | None = None
    apns: str | None = None


def resolve_time_zone(name: str | None) -> ZoneInfo:
    """Return the IANA time zone, or UTC if the name is missing or unknown."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def find_quiet_hours_end(quiet_hours: QuietHours | None, time_zone: str | None, now: datetime) -> datetime | None:
    """Return the end of the current quiet hours, later than `now`, or None outside quiet hours."""
    if quiet_hours is None or quiet_hours.start == quiet_hours.end:
        return None
    local_now = now.astimezone(resolve_time_zone(time_zone))
    start, end = time.fromisoformat(quiet_hours.start), time.fromisoformat(quiet_hours.end)
    local_time = local_now.time()
    is_quiet = start <= local_time < end if start < end else local_time >= start or local_time < end
    if not is_quiet:
        return None
    end_date = local_now.date() if local_time < end else local_now.date() + timedelta(days=1)
    # When clocks are set back, the end occurs twice, and the first occurrence may be in the past.
    candidates = (
        datetime.combine(end_date, end.replace(fold=fold), local_now.tzinfo).astimezone(UTC) for fold in (0, 1)
    )
    return next((candidate for candidate in candidates if candidate > now), now + timedelta(minutes=1))
