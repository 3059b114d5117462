import json
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.openapi.names import get_argument_name
from services.runtime.core.localisation import find_translation
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
PARAMETER_NAMES = {"page_size", "ratio", "flag", "q", "kind", "order", "day", "at"}


def parse_query(query: str) -> dict[str, Any]:
    """Return the arguments that the handler receives."""
    THINGS.calls.clear()
    response = send_request(APP, "GET", f"/things?{query}")
    assert response.status_code == 204, response.text
    return THINGS.calls[0]


def reject_query(query: str) -> dict[str, Any]:
    """Return the problem document, and check that the handler is not called."""
    THINGS.calls.clear()
    document = assert_problem(send_request(APP, "GET", f"/things?{query}"), 400, "INVALID_REQUEST")
    assert THINGS.calls == []
    return document


def test_absent_parameters_have_default_values() -> None:
    arguments = parse_query("")
    assert (arguments["page_size"], arguments["q"], arguments["kind"], arguments["at"]) == (20, None, None, None)


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
def test_text_is_converted_to_type_of_signature(query: str, name: str, value: object) -> None:
    argument = parse_query(query)[name]
    assert argument == value
    assert type(argument) is type(value)


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
def test_invalid_parameter_is_rejected_by_name(query: str) -> None:
    (error,) = reject_query(query)["errors"]
    assert error["field"] == query.partition("=")[0]
    assert find_translation(error["message"], "de") not in (None, error["message"])


@pytest.mark.parametrize("query", ["q=%ff", "q=%C3", "%ff=1", "&".join(f"x{n}=1" for n in range(200))])
def test_malformed_query_is_rejected(query: str) -> None:
    reject_query(query)


@pytest.mark.parametrize("query", ["q=a&q=a", "q=a&page_size=1&q=b", "page_size=1&page_size=2"])
def test_repeated_parameter_is_rejected(query: str) -> None:
    assert reject_query(query)["errors"][0]["field"] in query


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda name: name not in PARAMETER_NAMES))
def test_unknown_parameter_of_any_name_is_rejected(name: str) -> None:
    assert reject_query(urlencode({name: "1"}))["errors"] == [
        {"field": name, "message": "is not a parameter of this operation"}
    ]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=100))
def test_any_text_round_trips(text: str) -> None:
    assert parse_query(urlencode({"q": text}))["q"] == text


@settings(max_examples=60, deadline=None)
@given(st.integers())
def test_integer_is_accepted_within_bounds_only(number: int) -> None:
    if 1 <= number <= 100:
        assert parse_query(f"page_size={number}")["page_size"] == number
    else:
        reject_query(f"page_size={number}")


def test_invalid_path_parameter_is_rejected() -> None:
    document = assert_problem(send_request(APP, "GET", "/things/A1", headers=IDENTITY_HEADERS), 400, "INVALID_REQUEST")
    assert document["errors"][0]["field"] == "thing_id"


def test_header_parameter_is_passed_by_snake_case_name() -> None:
    things = RecordingThingsHandler(lambda: Response(THING))
    headers = {**IDENTITY_HEADERS, "if-match": '"1"'}
    response = send_request(create_app(things), "PATCH", "/things/a1", json={"id": "a1", "count": 3}, headers=headers)
    assert response.status_code == 200
    assert things.calls[0]["if_match"] == '"1"'
    lines = [*IDENTITY_HEADERS.items(), ("if-match", '"zzz"'), ("if-match", '"1"')]
    send_request(create_app(things), "PATCH", "/things/a1", json={"id": "a1", "count": 3}, headers=lines)
    assert things.calls[1]["if_match"] == '"zzz", "1"'
    long_headers = {**IDENTITY_HEADERS, "if-match": "x" * 41, "content-type": JSON}
    body = json.dumps({"id": "a1", "count": 3})
    document = assert_problem(
        send_request(create_app(things), "PATCH", "/things/a1", content=body, headers=long_headers),
        400,
        "INVALID_REQUEST",
    )
    assert document["errors"][0]["field"] == "If-Match"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("If-Match", "if_match"),
        ("orderId", "order_id"),
        ("q", "q"),
        ("$filter", "filter"),
        ("filter[status]", "filter_status"),
        ("from", "from_"),
        ("item-id", "item_id"),
    ],
)
def test_to_argument_name_converts_to_snake_case(name: str, expected: str) -> None:
    assert to_argument_name(name) == get_argument_name(name) == expected


def test_default_value_has_type_of_signature() -> None:
    assert isinstance(parse_query("")["order"], Kind)


@pytest.mark.parametrize("query", ["at=2016-12-31T23:59:60Z", "day=0000-01-01"])
def test_unrepresentable_time_is_rejected(query: str) -> None:
    reject_query(query)
