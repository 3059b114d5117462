"""Opening hours of partners, also on days on which clocks are changed."""

import itertools
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from services.partners.domain.opening_hours import OpeningHours, OpeningPeriod, Weekday, check_time_zone
from tests.unit.fake_transactions import raises_reason

BERLIN = "Europe/Berlin"
MINUTE = timedelta(minutes=1)


def parse_period(text: str) -> OpeningPeriod:
    """Parse a period such as "MONDAY 10:00-22:00"."""
    day, _, times = text.partition(" ")
    opens, closes = map(time.fromisoformat, times.split("-"))
    return OpeningPeriod(Weekday[day], opens, closes)


def parse_hours(zone: str, *periods: str) -> OpeningHours:
    return OpeningHours(zone, tuple(map(parse_period, periods)))


@pytest.mark.parametrize(
    ("period", "local", "is_open"),
    [
        ("MONDAY 10:00-22:00", "2026-11-30T09:59:59.999999", False),
        ("MONDAY 10:00-22:00", "2026-11-30T10:00", True),
        ("MONDAY 10:00-22:00", "2026-11-30T21:59:59.999999", True),
        ("MONDAY 10:00-22:00", "2026-11-30T22:00", False),
        ("MONDAY 10:00-22:00", "2026-12-01T12:00", False),
        ("FRIDAY 18:00-02:00", "2026-12-05T01:59", True),
        ("FRIDAY 18:00-02:00", "2026-12-05T02:00", False),
        ("FRIDAY 18:00-02:00", "2026-12-04T01:59", False),
        ("SUNDAY 20:00-03:00", "2026-11-30T02:59", True),
        ("MONDAY 00:00-00:00", "2026-11-30T00:00", True),
        ("MONDAY 00:00-00:00", "2026-11-30T23:59", True),
        ("MONDAY 00:00-00:00", "2026-12-01T00:00", False),
    ],
)
def test_period_contains_opening_time_but_not_closing_time(period: str, local: str, is_open: bool) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(BERLIN))
    assert parse_hours(BERLIN, period).is_open(at) is is_open


@pytest.mark.parametrize(
    ("periods", "at", "opening"),
    [
        (["MONDAY 10:00-22:00"], "2026-11-30T08:59Z", "2026-11-30T09:00Z"),
        (["MONDAY 10:00-22:00"], "2026-11-30T12:00Z", "2026-11-30T12:00Z"),
        (["MONDAY 10:00-22:00"], "2026-11-30T21:00Z", "2026-12-07T09:00Z"),
        (["MONDAY 10:00-14:00", "MONDAY 17:00-22:00"], "2026-11-30T13:30Z", "2026-11-30T16:00Z"),
        (["SATURDAY 10:00-22:00", "TUESDAY 08:00-09:00"], "2026-12-06T00:00Z", "2026-12-08T07:00Z"),
        # Clocks go forward at 01:00 UTC: 02:30 does not occur, and the partner opens at 03:00.
        (["SUNDAY 02:30-06:00"], "2026-03-29T00:30Z", "2026-03-29T01:00Z"),
        (["SUNDAY 02:15-02:45"], "2026-03-29T00:30Z", "2026-04-05T00:15Z"),
        # Clocks go back at 01:00 UTC: 02:15 to 02:45 occurs twice.
        (["SUNDAY 02:15-02:45"], "2026-10-25T00:00Z", "2026-10-25T00:15Z"),
        (["SUNDAY 02:15-02:45"], "2026-10-25T00:50Z", "2026-10-25T01:15Z"),
        (["SUNDAY 01:00-02:30"], "2026-10-25T00:45Z", "2026-10-25T01:00Z"),
    ],
)
def test_next_opening_follows_the_wall_clock(periods: list[str], at: str, opening: str) -> None:
    found = parse_hours(BERLIN, *periods).find_opening(datetime.fromisoformat(at))
    assert found == datetime.fromisoformat(opening)


def test_schedule_without_periods_never_opens() -> None:
    hours = OpeningHours(BERLIN, ())
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert (hours.is_open(at), hours.find_opening(at)) == (False, None)


CLOCK_CHANGES = [
    (BERLIN, datetime(2026, 3, 29, 1, tzinfo=UTC)),
    (BERLIN, datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 1, 1, tzinfo=UTC)),
]
"""Zones and moments: gaps and folds by day, at midnight and of half an hour, a skipped date, and no change."""

times = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
periods = st.builds(OpeningPeriod, st.sampled_from(Weekday), times, times)


def is_open_by_days(hours: OpeningHours, at: datetime) -> bool:
    """Return whether a period contains the local date and time, compared day by day without arithmetic of weeks."""
    local = at.astimezone(ZoneInfo(hours.time_zone))
    yesterday = 7 if local.isoweekday() == 1 else local.isoweekday() - 1
    for period in hours.periods:
        ends_next_day = period.closes <= period.opens
        is_before_closing = ends_next_day or local.time() < period.closes
        if period.day == local.isoweekday() and local.time() >= period.opens and is_before_closing:
            return True
        if ends_next_day and period.day == yesterday and local.time() < period.closes:
            return True
    return False


@given(
    st.sampled_from(CLOCK_CHANGES),
    st.integers(-36 * 60, 36 * 60),
    st.lists(periods, min_size=1, max_size=4).map(tuple),
)
def test_next_opening_is_the_first_open_minute(
    change: tuple[str, datetime], minutes: int, schedule: tuple[OpeningPeriod, ...]
) -> None:
    zone, moment = change
    hours, at = OpeningHours(zone, schedule), moment + minutes * MINUTE
    assert hours.is_open(at) is is_open_by_days(hours, at)
    found = hours.find_opening(at)
    # A schedule whose only time is skipped by a change opens a week later.
    first = next((each for count in range(15 * 24 * 60) if is_open_by_days(hours, each := at + count * MINUTE)), None)
    assert found == first


@given(
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Apia", "UTC"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    st.lists(periods, min_size=1, max_size=28).map(tuple),
)
def test_opening_is_never_earlier_than_given_time(
    zone: str, local: datetime, schedule: tuple[OpeningPeriod, ...]
) -> None:
    hours, at = OpeningHours(zone, schedule), local.replace(tzinfo=UTC)
    found = hours.find_opening(at)
    assert found is not None
    assert found >= at
    assert hours.is_open(found)
    assert (found == at) is hours.is_open(at)


def test_order_of_periods_does_not_matter() -> None:
    schedule = [parse_period(text) for text in ("MONDAY 10:00-12:00", "MONDAY 11:00-15:00", "SUNDAY 23:00-01:00")]
    at = datetime(2026, 11, 30, 11, 30, tzinfo=UTC)
    for order in itertools.permutations(schedule):
        assert OpeningHours(BERLIN, order).is_open(at)


@pytest.mark.parametrize("zone", ["", "Berlin", "localtime", "Factory", "Europe/berlin ", "../etc/passwd"])
def test_unknown_time_zone_raises(zone: str) -> None:
    with raises_reason(Reason.TIME_ZONE_UNKNOWN):
        check_time_zone(zone)
    check_time_zone(BERLIN)


def test_time_zone_that_the_database_lost_is_read_as_utc() -> None:
    hours = parse_hours("Mars/Olympus", "MONDAY 10:00-11:00")
    assert hours.is_open(datetime(2026, 11, 30, 10, 30, tzinfo=UTC))
