"""Dates of deprecated operations, and the headers that announce them."""

from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from codegen.contracts import ContractError
from codegen.rest.deprecation import Deprecation, parse_deprecation

DEPRECATED = {
    "operationId": "getNote",
    "deprecated": True,
    "x-deprecated-since": "2026-12-01",
    "x-sunset": "2027-06-01",
}
DATES = st.dates(date(1971, 1, 1), date(2199, 12, 31))


def test_headers_have_the_formats_of_their_rfcs() -> None:
    deprecation = parse_deprecation(DEPRECATED)
    assert deprecation is not None
    assert deprecation.headers == {"Deprecation": "@1796083200", "Sunset": "Tue, 01 Jun 2027 00:00:00 GMT"}


@given(DATES, DATES)
def test_headers_state_the_beginning_of_both_days_in_utc(since: date, sunset: date) -> None:
    headers = Deprecation(since, sunset).headers
    assert datetime.fromtimestamp(int(headers["Deprecation"].removeprefix("@")), UTC).date() == since
    assert parsedate_to_datetime(headers["Sunset"]) == datetime(sunset.year, sunset.month, sunset.day, tzinfo=UTC)


def test_header_objects_describe_required_headers_by_example() -> None:
    header = Deprecation(date(2026, 12, 1), date(2027, 6, 1)).header_objects["Deprecation"]
    assert header["required"] is True
    assert header["schema"] == {"type": "string", "examples": ["@1796083200"]}


@pytest.mark.parametrize("text", ["x-sunset: 2027-06-01", "x-sunset: '2027-06-01'"])
def test_quoted_and_unquoted_dates_are_equal(text: str) -> None:
    assert parse_deprecation(DEPRECATED | yaml.load(text, Loader=yaml.CSafeLoader)) == parse_deprecation(DEPRECATED)


@pytest.mark.parametrize("operation", [{}, {"deprecated": False}])
def test_other_operations_have_no_deprecation(operation: dict[str, Any]) -> None:
    assert parse_deprecation({"operationId": "getNote", **operation}) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deprecated": False}, "getNote has x-deprecated-since without `deprecated: true`"),
        ({"x-sunset": "soon"}, "x-deprecated-since and x-sunset of getNote must be dates"),
        ({"x-sunset": "2026-11-30"}, "x-sunset of getNote is earlier than x-deprecated-since"),
    ],
)
def test_invalid_deprecation_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        parse_deprecation(DEPRECATED | changes)


@pytest.mark.parametrize("missing", ["x-deprecated-since", "x-sunset"])
def test_deprecated_operation_requires_both_dates(missing: str) -> None:
    operation = {key: value for key, value in DEPRECATED.items() if key != missing}
    with pytest.raises(ContractError, match="getNote must have x-deprecated-since and x-sunset"):
        parse_deprecation(operation)
