import json
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.rest.parameters import to_argument_name
from services.runtime.rest.types import Response
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    JSON,
    THING,
    Kind,
    RecordingThingsHandler,
    assert_problem,
    create_app,
    send_request,
)

THINGS = RecordingThingsHandler()
APP = create_app(THINGS)
KNOWN = {"page_size", "ratio", "flag", "q", "kind", "order", "day", "at"}


def received(query: str) -> dict[str, Any]:
    """What the handler got."""
    THINGS.calls.clear()
    answer = send_request(APP, "GET", f"/things?{query}")
    assert answer.status_code == 204, answer.text
    return THINGS.calls[0]


def refused(query: str) -> dict[str, Any]:
    """The problem; the handler was not called."""
    THINGS.calls.clear()
    document = assert_problem(send_request(APP, "GET", f"/things?{query}"), 400, "INVALID_REQUEST")
    assert THINGS.calls == []
    return document


def test_absent_parameters_have_their_defaults() -> None:
    got = received("")
    assert (got["page_size"], got["q"], got["kind"], got["at"]) == (20, None, None, None)


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("page_size=7", "page_size", 7),
        ("ratio=-1.5e2", "ratio", -150.0),
        ("flag=true", "flag", True),
        ("flag=false", "flag", False),
        ("q=", "q", ""),
        ("q", "q", ""),
        ("q=a%2Bb+c", "q", "a+b c"),
        ("q=%C3%A9", "q", "é"),
        ("kind=large", "kind", Kind.large),
        ("day=2024-02-29", "day", date(2024, 2, 29)),
        ("at=2024-02-29T10:00:00Z", "at", datetime(2024, 2, 29, 10, tzinfo=UTC)),
    ],
)
def test_text_becomes_what_the_signature_says(query: str, name: str, value: object) -> None:
    got = received(query)[name]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "query",
    [
        *(
            "page_size=0",
            "page_size=101",
            "page_size=",
            "page_size=1.0",
            "page_size=1e1",
            "page_size=%2B1",
            "page_size=01",
        ),
        *("page_size=1_0", "page_size=%D9%A1", "page_size=" + "9" * 5000),
        *("ratio=nan", "ratio=inf", "ratio=1.", "flag=True", "flag=1", "flag="),
        *("kind=huge", "kind=LARGE", "day=2024-02-30", "day=tomorrow", "at=2024-02-29", "q=" + "x" * 101),
    ],
)
def test_text_of_another_type_or_out_of_bounds_is_refused_by_name(query: str) -> None:
    (error,) = refused(query)["errors"]
    assert error["field"] == query.partition("=")[0]
    assert error["message"]


@pytest.mark.parametrize("query", ["q=%ff", "q=%C3", "%ff=1", "&".join(f"x{n}=1" for n in range(200))])
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    refused(query)


@pytest.mark.parametrize("query", ["q=a&q=a", "q=a&page_size=1&q=b", "page_size=1&page_size=2"])
def test_a_repeated_parameter_is_refused(query: str) -> None:
    assert refused(query)["errors"][0]["field"] in query


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda name: name not in KNOWN))
def test_an_unknown_parameter_is_refused_whatever_its_name(name: str) -> None:
    assert refused(urlencode({name: "1"}))["errors"] == [{"field": name, "message": "is not in the contract"}]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=100))
def test_a_text_arrives_as_it_was_sent(text: str) -> None:
    assert received(urlencode({"q": text}))["q"] == text


@settings(max_examples=60, deadline=None)
@given(st.integers())
def test_an_integer_arrives_or_is_out_of_bounds(number: int) -> None:
    if 1 <= number <= 100:
        assert received(f"page_size={number}")["page_size"] == number
    else:
        refused(f"page_size={number}")


def test_a_path_parameter_is_checked_too() -> None:
    document = assert_problem(send_request(APP, "GET", "/things/A1", headers=IDENTITY_HEADERS), 400, "INVALID_REQUEST")
    assert document["errors"][0]["field"] == "thing_id"


def test_header_parameters_are_passed_by_their_snake_case_names() -> None:
    things = RecordingThingsHandler(lambda: Response(THING))
    sent = {**IDENTITY_HEADERS, "if-match": '"1"'}
    answer = send_request(create_app(things), "PATCH", "/things/a1", json={"id": "a1", "count": 3}, headers=sent)
    assert answer.status_code == 200
    assert things.calls[0]["if_match"] == '"1"'
    long = {**IDENTITY_HEADERS, "if-match": "x" * 41, "content-type": JSON}
    body = json.dumps({"id": "a1", "count": 3})
    document = assert_problem(
        send_request(create_app(things), "PATCH", "/things/a1", content=body, headers=long), 400, "INVALID_REQUEST"
    )
    assert document["errors"][0]["field"] == "If-Match"


@pytest.mark.parametrize(("name", "expected"), [("If-Match", "if_match"), ("orderId", "order_id"), ("q", "q")])
def test_names_of_arguments(name: str, expected: str) -> None:
    assert to_argument_name(name) == expected


def test_a_default_has_the_type_of_the_signature() -> None:
    assert isinstance(received("")["order"], Kind)


@pytest.mark.parametrize("query", ["at=2016-12-31T23:59:60Z", "day=0000-01-01"])
def test_a_time_that_python_cannot_hold_is_refused(query: str) -> None:
    refused(query)
