"""Texts of requests: names, addresses and notes are more than white space. Responses may contain older values."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from services.runtime.core.json_schema import collect_field_errors, compile_schema
from tests.conftest import ROOT

WHITE_SPACE = [" ", "\u00a0", "\u3000 "]
TEXT = "5 Rue"

OPENAPI = json.loads((ROOT / "generated/openapi/delivery.json").read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = OPENAPI["components"]["schemas"]


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a schema refers to."""
    return resolve(SCHEMAS[schema["$ref"].rpartition("/")[2]]) if "$ref" in schema else schema


def iter_properties(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the properties of an object and of the objects in it."""
    for name, each in resolve(schema).get("properties", {}).items():
        yield f"{path}.{name}", resolve(each)
        yield from iter_properties(each, f"{path}.{name}")


def is_text(schema: dict[str, Any]) -> bool:
    """Return whether a value must have a character, may have words, and is no secret."""
    is_secret = schema.get("writeOnly") or schema.get("format") == "password"
    return (
        "string" in schema.get("type", ())
        and not is_secret
        and bool(schema.get("minLength"))
        and is_valid(schema, TEXT)
    )


def is_valid(schema: dict[str, Any], value: str) -> bool:
    return compile_schema(schema).is_valid(value)


TEXTS = {
    path: schema
    for item in OPENAPI["paths"].values()
    for operation in item.values()
    if isinstance(operation, dict)
    for content in operation.get("requestBody", {}).get("content", {}).values()
    for path, schema in iter_properties(content["schema"], operation["operationId"])
    if is_text(schema)
}
"""Schemas of the texts in requests by operation and property."""


@pytest.mark.parametrize("path", TEXTS)
def test_text_of_white_space_only_is_rejected(path: str) -> None:
    assert [value for value in WHITE_SPACE if is_valid(TEXTS[path], value)] == []
    [error] = collect_field_errors(compile_schema(TEXTS[path]), " ")
    assert "white space" in error.message
    assert is_valid(TEXTS[path], f" {TEXT} ")


def test_names_addresses_and_notes_are_texts() -> None:
    names = {path.rpartition(".")[2] for path in TEXTS}
    assert {"first_name", "last_name", "title", "brand", "address", "delivery_address", "street", "note"} <= names
    assert {"customer_name", "reason", "pickup_address", "name"} <= names


@pytest.mark.parametrize("name", ["User", "Partner", "Bank", "Order", "Product", "Device", "RefundAction"])
def test_response_with_text_of_white_space_is_valid(name: str) -> None:
    texts = {
        path: schema
        for path, schema in iter_properties({"$ref": f"#/components/schemas/{name}"}, name)
        if schema.get("type") == "string" and is_valid(schema, TEXT)
    }
    assert texts
    assert [path for path, schema in texts.items() if not is_valid(schema, " ")] == []
