"""Parser of Retry-After: delay-seconds, the three formats of HTTP-date, and invalid headers."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.outbound.retry_after import parse_retry_after

NOW = datetime(1994, 11, 6, 8, 49, tzinfo=UTC)


@given(seconds=st.integers(0, 99_999_999))
def test_seconds_and_date_return_same_delay(seconds: int) -> None:
    delay = timedelta(seconds=seconds)
    assert parse_retry_after(str(seconds), NOW) == delay
    assert parse_retry_after((NOW + delay).strftime("%a, %d %b %Y %H:%M:%S GMT"), NOW) == delay


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 37),
        ("Sun Nov  6 08:49:37 1994", 37),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 37),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
    ],
)
def test_valid_header_returns_delay(header: str, seconds: int) -> None:
    assert parse_retry_after(header, NOW) == timedelta(seconds=seconds)


def test_date_without_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_retry_after("Sun Nov  6 08:49:37 1994", NOW) == timedelta(seconds=37)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "header", [None, "", "soon", "-3", "1.5", "٣", "100000000", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 -0100"]
)
def test_missing_or_invalid_header_returns_none(header: str | None) -> None:
    assert parse_retry_after(header, NOW) is None


@given(st.text(max_size=20).filter(lambda text: not text.strip().isdigit()))
def test_arbitrary_header_raises_no_error(value: str) -> None:
    delay = parse_retry_after(value, NOW)
    assert delay is None or delay >= timedelta(0)
