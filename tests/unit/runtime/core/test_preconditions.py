from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.preconditions import (
    check_if_match,
    check_version,
    format_etag,
    list_expected_versions,
    parse_if_match,
    parse_if_match_versions,
)
from services.runtime.rest.types import Response
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    THING,
    RecordingThingsHandler,
    assert_problem,
    create_app,
    send_request,
)

VISIBLE_CHARACTERS = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
ETAGS = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E), max_size=8).map('"{}"'.format)
THINGS = RecordingThingsHandler(lambda: Response(THING))
APP = create_app(THINGS)


def create_thing(*keys: str) -> Any:
    THINGS.calls.clear()
    headers = [*IDENTITY_HEADERS.items(), *(("idempotency-key", key) for key in keys)]
    return send_request(APP, "POST", "/things", json={"id": "a1", "count": 3}, headers=headers)


@settings(max_examples=100, deadline=None)
@given(st.text(VISIBLE_CHARACTERS, min_size=1, max_size=64))
def test_idempotency_key_is_passed_unchanged(key: str) -> None:
    assert create_thing(key).status_code == 201
    assert THINGS.calls[0]["idempotency_key"] == key


@pytest.mark.parametrize("keys", [("",), ("x" * 65,), ("a b",), ("a", "a"), ("a", "b")])
def test_invalid_idempotency_key_is_rejected(keys: tuple[str, ...]) -> None:
    (error,) = assert_problem(create_thing(*keys), 400, "INVALID_REQUEST")["errors"]
    assert error["field"] == "Idempotency-Key"
    assert THINGS.calls == []


def test_idempotency_key_is_optional() -> None:
    assert create_thing().status_code == 201
    assert THINGS.calls[0]["idempotency_key"] is None


@given(st.integers(0, 2**63 - 1))
def test_version_round_trips_through_etag(version: int) -> None:
    assert parse_if_match_versions(format_etag(version)) == {version}
    assert parse_if_match(format_etag(version)) == frozenset({format_etag(version)})


@given(st.integers(2**63, 10**19 - 1))
def test_version_that_no_resource_can_have_does_not_match(version: int) -> None:
    with pytest.raises(ApiError) as raised:
        parse_if_match_versions(format_etag(version))
    assert raised.value.reason is Reason.PRECONDITION_FAILED


@given(ETAGS, st.lists(ETAGS, max_size=3), st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_if_match_list_must_contain_current_etag(current: str, others: list[str], separator: str) -> None:
    check_if_match(separator.join([*others, current]), current)
    if others and current not in others:
        with pytest.raises(ApiError) as raised:
            check_if_match(separator.join(others), current)
        assert raised.value.reason is Reason.PRECONDITION_FAILED


@pytest.mark.parametrize("if_match", [None, "*", " * "])
def test_if_match_absent_or_wildcard_matches_any_version(if_match: str | None) -> None:
    check_if_match(if_match, '"1"')
    assert parse_if_match_versions(if_match) is None


@pytest.mark.parametrize(
    ("if_match", "reason"),
    [
        ('W/"1"', Reason.PRECONDITION_FAILED),
        ('"x"', Reason.PRECONDITION_FAILED),
        ('"01"', Reason.PRECONDITION_FAILED),
        ('"-1"', Reason.PRECONDITION_FAILED),
        ('""', Reason.PRECONDITION_FAILED),
        ('"x", W/"1"', Reason.PRECONDITION_FAILED),
        ("1", Reason.INVALID_REQUEST),
        ('"1', Reason.INVALID_REQUEST),
        ("", Reason.INVALID_REQUEST),
        (",", Reason.INVALID_REQUEST),
        ('"1" "2"', Reason.INVALID_REQUEST),
        ('*, "1"', Reason.INVALID_REQUEST),
    ],
)
def test_invalid_if_match_version_is_rejected(if_match: str, reason: Reason) -> None:
    with pytest.raises(ApiError) as raised:
        parse_if_match_versions(if_match)
    assert raised.value.reason is reason


@pytest.mark.parametrize(
    ("if_match", "versions"), [('"zzz", "1"', {1}), ('"1", "2"', {1, 2}), (', "3" ,\t,W/"4"', {3}), ('"1",', {1})]
)
def test_if_match_list_contains_versions_of_any_etag(if_match: str, versions: set[int]) -> None:
    assert parse_if_match_versions(if_match) == versions


@pytest.mark.parametrize(
    ("version", "versions", "current", "matches"),
    [(None, [], 3, True), (3, [], 3, True), (None, [1, 3], 3, True), (None, [1, 2], 3, False), (2, [], 3, False)],
)
def test_expected_versions_of_rpc_match_current(
    version: int | None, versions: list[int], current: int, *, matches: bool
) -> None:
    expected = list_expected_versions(version, versions)
    if matches:
        check_version(expected, current)
        return
    with pytest.raises(ApiError) as raised:
        check_version(expected, current)
    assert raised.value.reason is Reason.PRECONDITION_FAILED


def test_weak_etag_never_matches() -> None:
    with pytest.raises(ApiError):
        check_if_match('W/"1"', '"1"')
    with pytest.raises(ApiError):
        check_if_match('W/"1"', 'W/"1"')
    check_if_match('W/"1", "1"', '"1"')


@pytest.mark.parametrize("size", [10_000, 100_000])
@pytest.mark.parametrize("part", ['"a",', ",  ", " ,", " ", '"a" , '])
def test_long_if_match_is_parsed_in_linear_time(part: str, size: int) -> None:
    with pytest.raises(ApiError):
        parse_if_match('"a"' + part * size + "x")
