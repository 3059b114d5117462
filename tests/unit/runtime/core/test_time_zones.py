"""Time zones of the IANA database, and changes of their clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.runtime.core.time_zones import TIME_ZONES, find_offset_change, resolve_time_zone

BERLIN = ZoneInfo("Europe/Berlin")
CHANGE = datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_zones_of_the_system_and_the_unset_zone_are_excluded() -> None:
    assert {"Europe/Berlin", "UTC"} <= TIME_ZONES
    assert not TIME_ZONES & {"localtime", "posixrules", "Factory"}


@pytest.mark.parametrize("name", [None, "", "Mars/Olympus", "../etc/passwd", "Europe", "\x00"])
def test_missing_or_unknown_zone_is_utc(name: str | None) -> None:
    assert resolve_time_zone(name).key == "UTC"
    assert resolve_time_zone("Europe/Berlin") is BERLIN


@pytest.mark.parametrize("after", [timedelta(hours=5), timedelta(microseconds=1), timedelta(seconds=1)])
def test_offset_change_is_found_to_the_second(after: timedelta) -> None:
    assert find_offset_change(CHANGE - after, CHANGE + timedelta(hours=5), BERLIN) == CHANGE
    assert find_offset_change(CHANGE - after, CHANGE, BERLIN) == CHANGE


def test_interval_without_offset_change_has_none() -> None:
    assert find_offset_change(CHANGE, CHANGE + timedelta(days=1), BERLIN) is None
    assert find_offset_change(CHANGE - timedelta(days=1), CHANGE - timedelta(seconds=1), BERLIN) is None
