"""Notification agents and quiet hours."""

from datetime import UTC, datetime, timedelta

import pytest

from services.notifications.domain.agents import QuietHours, find_quiet_hours_end, resolve_time_zone

NIGHT = QuietHours("22:00", "07:00")


@pytest.mark.parametrize("name", [None, "", "Mars/Olympus", "../etc/passwd", "\x00"])
def test_unknown_time_zone_is_utc(name: str | None) -> None:
    assert resolve_time_zone(name).key == "UTC"


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
