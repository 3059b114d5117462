"""Notification agents and quiet hours."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from services.notifications.domain.notifications import Provider
from services.runtime.core.time_zones import find_offset_change, resolve_time_zone

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


class ProviderKeys(NamedTuple):
    """An agent's own credentials for providers, as JSON; None if the default ones are used."""

    fcm: str | None = None
    apns: str | None = None


def find_quiet_hours_end(quiet_hours: QuietHours | None, time_zone: str | None, now: datetime) -> datetime | None:
    """Return the end of the current quiet hours, later than `now`, or None outside quiet hours.

    The end is the first moment at which a local clock shows a time outside the interval. When clocks are changed, that
    may be the moment of the change.
    """
    if quiet_hours is None:
        return None
    zone = resolve_time_zone(time_zone)
    start, end = time.fromisoformat(quiet_hours.start), time.fromisoformat(quiet_hours.end)
    moment = now.astimezone(UTC)
    while _is_within(start, end, local := moment.astimezone(zone)):
        until_end = datetime.combine(local, end) - local.replace(tzinfo=None)
        candidate = moment + until_end % timedelta(days=1)
        moment = find_offset_change(moment, candidate, zone) or candidate
    return moment if moment > now else None


def _is_within(start: time, end: time, local: datetime) -> bool:
    local_time = local.time()
    return start <= local_time < end if start <= end else local_time >= start or local_time < end
