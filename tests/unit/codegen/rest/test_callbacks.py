"""Parsers of the signed bodies that the gateway forwards."""

from typing import Any

import pytest

from codegen.contracts import ContractError
from codegen.rest import callbacks
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi

NOTE = {
    "type": "object",
    "description": "A note.",
    "examples": [{"title": "x"}],
    "required": ["title"],
    "properties": {
        "title": {"$ref": "#/components/schemas/Title"},
        "tags": {"type": "array", "items": {"type": "string", "description": "A tag."}},
    },
}
TITLE = {"type": "string", "title": "Title", "minLength": 1}


def test_signed_body_has_parser_with_its_schema_and_model() -> None:
    openapi = create_openapi()
    openapi["components"]["schemas"] |= {"Note": NOTE, "Title": TITLE}
    (text,) = callbacks.generate(create_contracts(openapi=openapi)).values()
    assert "from generated.rest.delivery.models import Note\n" in text
    schema = {
        "type": "object",
        "required": ["title"],
        "properties": {
            "title": {"type": "string", "minLength": 1},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    }
    assert text.endswith(f"\nRECEIVE_CALLBACK = JsonParser({schema!r}, Note)\n\n")
    assert text.count("JsonParser(") == 1


@pytest.mark.parametrize("body", [None, {"content": {"application/json": {}, "text/plain": {}}}])
def test_signed_operation_without_one_media_type_raises(body: dict[str, Any] | None) -> None:
    openapi = create_openapi()
    operation = openapi["paths"]["/callbacks"]["post"]
    operation.pop("requestBody")
    operation |= {} if body is None else {"requestBody": body}
    with pytest.raises(ContractError, match="operation receiveCallback: the signed request has no single body"):
        callbacks.generate(create_contracts(openapi=openapi))
