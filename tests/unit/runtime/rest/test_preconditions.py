from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest.preconditions import check_if_match, format_etag, parse_if_match, parse_if_match_version
from services.runtime.rest.types import Response
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    THING,
    RecordingThingsHandler,
    assert_problem,
    create_app,
    send_request,
)

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
TAGS = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E), max_size=8).map('"{}"'.format)
THINGS = RecordingThingsHandler(lambda: Response(THING))
APP = create_app(THINGS)


def create(*keys: str) -> Any:
    THINGS.calls.clear()
    headers = [*IDENTITY_HEADERS.items(), *(("idempotency-key", key) for key in keys)]
    return send_request(APP, "POST", "/things", json={"id": "a1", "count": 3}, headers=headers)


@settings(max_examples=100, deadline=None)
@given(st.text(VISIBLE, min_size=1, max_size=64))
def test_a_key_arrives_literally(key: str) -> None:
    assert create(key).status_code == 201
    assert THINGS.calls[0]["idempotency_key"] == key


@pytest.mark.parametrize("keys", [("",), ("x" * 65,), ("a b",), ("a", "a"), ("a", "b")])
def test_what_is_no_key_is_refused_by_name(keys: tuple[str, ...]) -> None:
    (error,) = assert_problem(create(*keys), 400, "INVALID_REQUEST")["errors"]
    assert error["field"] == "Idempotency-Key"
    assert THINGS.calls == []


def test_a_key_may_be_left_out() -> None:
    assert create().status_code == 201
    assert THINGS.calls[0]["idempotency_key"] is None


@given(st.integers(0, 2**63 - 1))
def test_the_version_of_an_etag_is_the_one_it_was_made_of(version: int) -> None:
    assert parse_if_match_version(format_etag(version)) == version
    assert parse_if_match(format_etag(version)) == frozenset({format_etag(version)})


@given(TAGS, st.lists(TAGS, max_size=3), st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_a_state_must_be_one_of_those_named(current: str, others: list[str], comma: str) -> None:
    check_if_match(comma.join([*others, current]), current)
    if others and current not in others:
        with pytest.raises(ApiError) as refused:
            check_if_match(comma.join(others), current)
        assert refused.value.reason is Reason.PRECONDITION_FAILED


@pytest.mark.parametrize("anything", [None, "*", " * "])
def test_without_a_tag_any_state_is_right(anything: str | None) -> None:
    check_if_match(anything, '"1"')
    assert parse_if_match_version(anything) is None


@pytest.mark.parametrize(
    ("if_match", "reason"),
    [
        ('W/"1"', Reason.PRECONDITION_FAILED),
        ('"x"', Reason.PRECONDITION_FAILED),
        ('"01"', Reason.PRECONDITION_FAILED),
        ('"-1"', Reason.PRECONDITION_FAILED),
        ('""', Reason.PRECONDITION_FAILED),
        ('"1", "2"', Reason.INVALID_REQUEST),
        ("1", Reason.INVALID_REQUEST),
        ('"1', Reason.INVALID_REQUEST),
        ("", Reason.INVALID_REQUEST),
        (",", Reason.INVALID_REQUEST),
        ('"1" "2"', Reason.INVALID_REQUEST),
        ('*, "1"', Reason.INVALID_REQUEST),
    ],
)
def test_what_is_no_version_is_refused(if_match: str, reason: Reason) -> None:
    with pytest.raises(ApiError) as refused:
        parse_if_match_version(if_match)
    assert refused.value.reason is reason


def test_a_weak_tag_never_matches() -> None:
    with pytest.raises(ApiError):
        check_if_match('W/"1"', '"1"')
    with pytest.raises(ApiError):
        check_if_match('W/"1"', 'W/"1"')
    check_if_match('W/"1", "1"', '"1"')


@pytest.mark.parametrize("size", [10_000, 100_000])
def test_a_long_list_is_read_in_linear_time(size: int) -> None:
    with pytest.raises(ApiError):
        parse_if_match('"a",' * size + "x")
