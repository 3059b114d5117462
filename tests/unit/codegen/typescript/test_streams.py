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
