"""Notification agents and quiet hours."""

import itertools
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.notifications.domain.agents import QuietHours, find_quiet_hours_end

NIGHT = QuietHours("22:00", "07:00")


@pytest.mark.parametrize(
    ("quiet_hours", "now", "end"),
    [
        (None, "2026-01-01T23:00", None),
        (QuietHours("22:00", "22:00"), "2026-01-01T22:00", None),
        (NIGHT, "2026-01-01T21:59:59", None),
        (NIGHT, "2026-01-01T22:00", "2026-01-02T07:00"),
        (NIGHT, "2026-01-02T06:59:59", "2026-01-02T07:00"),
        (NIGHT, "2026-01-02T07:00", None),
        (QuietHours("12:00", "13:00"), "2026-01-01T12:30", "2026-01-01T13:00"),
        (QuietHours("12:00", "13:00"), "2026-01-01T13:00", None),
    ],
)
def test_quiet_hours_contain_start_but_not_end(quiet_hours: QuietHours | None, now: str, end: str | None) -> None:
    expected = None if end is None else datetime.fromisoformat(end).replace(tzinfo=UTC)
    assert find_quiet_hours_end(quiet_hours, None, datetime.fromisoformat(now).replace(tzinfo=UTC)) == expected


def test_end_is_later_than_now_when_clocks_are_set_back() -> None:
    hours = QuietHours("01:00", "02:30")
    now = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)  # 02:00 in Vienna, for the first time
    for minutes in range(0, 90, 5):
        at = now + timedelta(minutes=minutes)
        end = find_quiet_hours_end(hours, "Europe/Vienna", at)
        assert end is None or end > at


def find_end_minute_by_minute(hours: QuietHours, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return the first full minute from `now` outside quiet hours, or None if `now` is such a minute."""
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)

    def is_quiet(at: datetime) -> bool:
        local = at.astimezone(zone).time()
        return start <= local < end if start <= end else not end <= local < start

    minutes = (now + timedelta(minutes=count) for count in itertools.count())
    first = next(minute for minute in minutes if not is_quiet(minute))
    return None if first == now else first


CLOCK_CHANGES = [
    ("America/New_York", datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, 0, tzinfo=UTC)),
    ("Europe/Vienna", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    ("Europe/Vienna", datetime(2026, 10, 25, 1, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, 0, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 22, 0, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 10, 29, 21, 0, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, 0, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 1, 1, 0, 0, tzinfo=UTC)),
]
"""Zones and moments: gaps and folds by day, at midnight and of half an hour, a skipped date, and no change."""

minutes_of_day = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


@given(st.sampled_from(CLOCK_CHANGES), minutes_of_day, minutes_of_day, st.integers(-26 * 60, 26 * 60))
@settings(deadline=None)
@example(CLOCK_CHANGES[0], "22:00", "02:15", -30)
@example(CLOCK_CHANGES[0], "01:00", "02:59", -1)
@example(CLOCK_CHANGES[1], "00:30", "01:30", -90)
@example(CLOCK_CHANGES[3], "01:00", "02:30", -60)
@example(CLOCK_CHANGES[3], "02:30", "04:00", -15)
def test_quiet_hours_end_matches_the_wall_clock(
    change: tuple[str, datetime], start: str, end: str, minutes: int
) -> None:
    zone, moment = change
    now, hours = moment + timedelta(minutes=minutes), QuietHours(start, end)
    assert find_quiet_hours_end(hours, zone, now) == find_end_minute_by_minute(hours, ZoneInfo(zone), now)
