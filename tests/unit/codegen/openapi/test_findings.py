"""Places of errors in OpenAPI files."""

from typing import Any

import pytest

from codegen.openapi.findings import OpenApiFile, Pointer, find_node, parse_reference

DOCUMENT: dict[str, Any] = {
    "paths": {"/a": {"get": {"operationId": "getA"}, "post": {}, "parameters": [{"name": "x"}]}},
    "components": {"schemas": {"Thing": {"properties": {"a": {"properties": {"b": {}}}}}}, "headers": {"ETag": {}}},
}


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ((), "document"),
        (("info", "title"), "info"),
        (("paths",), "paths"),
        (("paths", "/a", "parameters", 0), "path /a"),
        (("paths", "/a", "get", "responses"), "operation getA"),
        (("paths", "/a", "post"), "POST /a"),
        (("components", "schemas", "Thing"), "schema Thing"),
        (("components", "schemas", "Thing", "properties", "a", "properties", "b", "type"), "schema Thing.a.b"),
        (("components", "headers", "ETag"), "header ETag"),
    ],
)
def test_node_is_described_by_its_operation_or_component(pointer: Pointer, place: str) -> None:
    assert OpenApiFile("a.yaml", DOCUMENT).describe(pointer) == place


def test_location_is_the_line_of_the_nearest_node() -> None:
    lines: dict[Pointer, int] = {(): 1, ("paths",): 3}
    file = OpenApiFile("a.yaml", DOCUMENT, lines.get)
    assert file.format_location(("paths", "/a", "get")) == "a.yaml:3"
    assert file.format_location(("info",)) == "a.yaml:1"
    assert OpenApiFile("a.yaml", DOCUMENT).format_location(("info",)) == "a.yaml"


@pytest.mark.parametrize(
    ("pointer", "node"),
    [
        (("paths", "/a", "parameters", 0, "name"), "x"),
        (("paths", "/b"), None),
        (("paths", "/a", "parameters", 1), None),
    ],
)
def test_find_node_returns_none_without_a_node(pointer: Pointer, node: Any) -> None:
    assert find_node(DOCUMENT, pointer) == node


def test_reference_is_parsed_to_a_pointer() -> None:
    assert parse_reference("#/paths/~1a~0b/get") == ("paths", "/a~b", "get")
