"""Functions of the TypeScript client for streams."""

from typing import Any

import pytest

from codegen import typescript
from codegen.contracts import ContractError, Contracts
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi


def with_stream(path: str = "/notes/{note-id}/events", **changes: Any) -> Contracts:
    """Return the sample document with one stream."""
    openapi = create_openapi()
    stream = openapi["paths"].pop("/notes/{note_id}/events")["get"]
    openapi["paths"] = {path: {"get": stream | {"x-final-event": {"text": ["end"]}, "summary": "Watch"} | changes}}
    return create_contracts(openapi=openapi)


def test_dashed_parameter_is_a_member_of_the_path() -> None:
    text = typescript.generate_streams(with_stream())
    assert 'paths["/notes/{note-id}/events"]["get"]' in text
    assert '`/notes/${encodeURIComponent(path["note-id"])}/events`' in text
    assert 'WatchEvent<components["schemas"]["Note"]>' in text


def test_plain_parameter_is_an_attribute_of_the_path() -> None:
    text = typescript.generate_streams(with_stream("/notes/{note_id}/events"))
    assert "`/notes/${encodeURIComponent(path.note_id)}/events`" in text


@pytest.mark.parametrize(("operation", "function"), [("watchNote", "watchNote"), ("watch-note", "watchNote")])
def test_operation_id_becomes_a_function(operation: str, function: str) -> None:
    assert f"export function {function}(\n" in typescript.generate_streams(with_stream(operationId=operation))


def test_end_of_a_comment_in_a_description_is_escaped() -> None:
    text = typescript.generate_streams(with_stream(summary="a */ b", description="c */ d"))
    assert " * a *\\/ b\n" in text
    assert " * c *\\/ d\n" in text


@pytest.mark.parametrize("final_event", [None, {}, {"a": ["x"], "b": ["y"]}, "end"])
def test_stream_without_final_event_is_an_error(final_event: Any) -> None:
    error = "delivery.yaml: operation watchNote: the stream lacks x-final-event; add it"
    with pytest.raises(ContractError, match=error):
        typescript.generate_streams(with_stream(**{"x-final-event": final_event}))


@pytest.mark.parametrize("operation", ["delete", "watch", "default", "paths"])
def test_function_has_no_reserved_name(operation: str) -> None:
    assert f"export function {operation}_(\n" in typescript.generate_streams(with_stream(operationId=operation))


def test_stream_without_path_parameters_has_no_path() -> None:
    text = typescript.generate_streams(with_stream("/notes/events"))
    assert "  path:" not in text
    assert "`/notes/events`" in text


def test_query_parameters_are_sent() -> None:
    listed = [
        {"name": "q", "in": "query", "schema": {"type": "string"}},
        {"name": "ids", "in": "query", "explode": False, "schema": {"type": "array", "items": {"type": "integer"}}},
    ]
    text = typescript.generate_streams(with_stream("/notes/events", parameters=listed))
    assert 'query: NonNullable<paths["/notes/events"]["get"]["parameters"]["query"]> = {},' in text
    assert '`/notes/events${formatQuery(query, ["ids"])}`' in text
    assert "import { formatQuery, watch, type WatchEvent" in text
    required = typescript.generate_streams(with_stream("/notes/events", parameters=[listed[0] | {"required": True}]))
    assert '["query"]>,' in required


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"x-final-event": {"colour": ["red"]}}, "x-final-event names the property colour, which the data has not"),
        ({"x-final-event": {"text": "end"}}, "x-final-event has no list of values of text"),
        ({"x-final-event": {"text": []}}, "x-final-event has no list of values of text"),
        (
            {"parameters": [{"name": "X-A", "in": "header", "required": True, "schema": {"type": "string"}}]},
            "the stream has the header parameter X-A, which the client does not send; use a query parameter",
        ),
    ],
)
def test_stream_that_no_function_can_read_is_an_error(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(ContractError, match=error):
        typescript.generate_streams(with_stream(**changes))
