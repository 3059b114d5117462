"""Opening hours of a partner: a weekly schedule in the partner's time zone."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.time_zones import TIME_ZONES, find_offset_change, resolve_time_zone

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


class Weekday(IntEnum):
    """Day of the week, numbered as in ISO 8601."""

    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6
    SUNDAY = 7


@dataclass(frozen=True, slots=True)
class OpeningPeriod:
    """Time from `opens` on a day to `closes`, which is on the following day if it is not later than `opens`."""

    day: Weekday
    opens: time
    closes: time

    @property
    def start(self) -> timedelta:
        """Return the time from the start of the week to the opening."""
        return (self.day - 1) * _DAY + _get_time_of_day(self.opens)

    @property
    def duration(self) -> timedelta:
        """Return the duration on a day without a change of the clocks, more than zero and at most a day."""
        return (_get_time_of_day(self.closes) - _get_time_of_day(self.opens)) % _DAY or _DAY


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Weekly opening periods, which may overlap. The partner is open while a local clock shows a time in one of them.

    A time that a change of the clocks skips does not occur; one that it repeats occurs twice. A time zone that the IANA
    database no longer contains is read as UTC.
    """

    time_zone: str
    periods: tuple[OpeningPeriod, ...]

    def is_open(self, at: datetime) -> bool:
        """Return whether the partner is open at a moment."""
        time_of_week = _get_time_of_week(at.astimezone(resolve_time_zone(self.time_zone)))
        return any((time_of_week - period.start) % _WEEK < period.duration for period in self.periods)

    def find_opening(self, at: datetime) -> datetime | None:
        """Return the first moment, not before `at`, at which the partner is open; None if there are no periods.

        When clocks are changed, that may be the moment of the change.
        """
        zone = resolve_time_zone(self.time_zone)
        moment = at.astimezone(UTC)
        while self.periods and not self.is_open(moment):
            time_of_week = _get_time_of_week(moment.astimezone(zone))
            until_opening = min((period.start - time_of_week) % _WEEK for period in self.periods)
            candidate = moment + min(until_opening, _DAY)
            moment = find_offset_change(moment, candidate, zone) or candidate
        return moment if self.periods else None


def check_time_zone(time_zone: str) -> None:
    """Check that a time zone is in the IANA database.

    Raises ApiError: TIME_ZONE_UNKNOWN.
    """
    if time_zone not in TIME_ZONES:
        raise ApiError(Reason.TIME_ZONE_UNKNOWN)


def _get_time_of_day(local_time: time) -> timedelta:
    return timedelta(hours=local_time.hour, minutes=local_time.minute)


def _get_time_of_week(local: datetime) -> timedelta:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return local.weekday() * _DAY + (local.replace(tzinfo=None) - midnight.replace(tzinfo=None))
