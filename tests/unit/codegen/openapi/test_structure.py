"""Keys, types of values and references of OpenAPI documents."""

from typing import Any

import pytest

from tests.unit.codegen.openapi.sample_documents import (
    DOCUMENT,
    OPERATION,
    change_document,
    find_errors,
    with_operation,
    with_parameter,
    with_property,
    with_schemas,
)


def test_correct_document_has_no_errors() -> None:
    assert find_errors(DOCUMENT) == []


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ("text", "document: `document` is text; write an object"),
        (
            change_document(openapi="3.0.3"),
            "openapi: the OpenAPI version 3.0.3 is not supported; write `openapi: 3.1.0` and convert the document",
        ),
        (change_document(pahts={}), "pahts: `pahts` of a document is not supported; write `paths`"),
        (change_document(info={"title": "Sample"}), "info: the info lacks `version`; add it"),
        (change_document(paths=[]), "paths: `paths` is a list; write an object"),
        (change_document(tags={}), "tags: `tags` is an object; write a list"),
        (
            with_operation(parametres=[]),
            "operation listThings: `parametres` of an operation is not supported; write `parameters`",
        ),
        (with_operation(responses=None), "operation listThings: the operation lacks `responses`; add it"),
        (with_operation(operationId=5), "GET /things: `operationId` is a number; write text"),
        (with_operation(deprecated="yes"), "operation listThings: `deprecated` is text; write true or false"),
        (
            with_operation(extensions={"x-rate-limits": {}}),
            "operation listThings: the extension `x-rate-limits` is unknown; write `x-rate-limit`",
        ),
        (
            with_operation(method="trace"),
            "path /things: `trace` of a path item is not supported; "
            "remove the operation, because the edge rejects TRACE",
        ),
        (
            with_parameter({"content": {}}),
            "operation listThings: `content` of a parameter is not supported; "
            "describe each value by a parameter with a `schema`, or use a request body",
        ),
        (
            with_property({"type": "string", "nullable": True}),
            "schema Thing.value: `nullable` of a schema is not supported; "
            "write `type: [string, 'null']` with the type of the value",
        ),
        (
            with_property({"type": "string", "maxLenght": 5}),
            "`maxLenght` of a schema is not supported; write `maxLength`",
        ),
        (with_property({"maxLength": True}), "schema Thing.value: `maxLength` is true or false; write a whole number"),
        (
            with_property({"$ref": "common.yaml#/components/schemas/Thing"}),
            "schema Thing.value: the reference common.yaml#/components/schemas/Thing is not local; "
            "copy the schema to `components/schemas` of this file",
        ),
        (
            with_property({"$ref": "#/components/schemas/Nothing"}),
            "schema Thing.value: the reference #/components/schemas/Nothing has no target; "
            "correct it, or add the target",
        ),
        (
            with_property({"$ref": "#/paths/~1things"}),
            "schema Thing.value: the reference #/paths/~1things is not one to `components/schemas`; "
            "move the schema to `components/schemas`",
        ),
        (
            with_schemas(Größe={"type": "string"}),
            "schema Größe: the name Größe is not permitted by OpenAPI; use a-z, A-Z, 0-9, `.`, `_` and `-`",
        ),
        (
            with_schemas(A={"$ref": "#/components/schemas/B"}, B={"$ref": "#/components/schemas/A"}),
            "schema A: the reference #/components/schemas/B leads to itself; define the target",
        ),
    ],
)
def test_unsupported_structure_is_an_error(document: Any, error: str) -> None:
    assert any(message.endswith(error) for message in find_errors(document)), find_errors(document)


def test_deep_nesting_is_an_error() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}
    (error,) = find_errors(with_property(schema))
    assert error.endswith("nodes are nested deeper than 64 levels; use named components")


@pytest.mark.parametrize("has_models", [True, False])
def test_extensions_of_other_tools_are_permitted(*, has_models: bool) -> None:
    document = with_operation(
        extensions={"x-codeSamples": [{"lang": "curl"}]}, externalDocs={"url": "https://docs.example"}
    )
    assert find_errors(document, has_models=has_models) == []


def test_names_with_x_are_no_extensions() -> None:
    (error,) = find_errors(with_property({"type": "object", "properties": {"x-size": {"typo": 1}}}))
    assert error == "schema Thing.value.x-size: `typo` of a schema is not supported; write `type`"


def test_all_errors_are_reported() -> None:
    assert len(find_errors(with_property({"typo": 1, "formt": "date", "patern": "a"}))) == 3


def test_extension_among_paths_or_responses_is_an_error() -> None:
    document = with_operation(responses=OPERATION["responses"] | {"x-note": "text"})
    document["paths"]["x-note"] = "get it"
    error = "the extension `x-note` is not supported here; move it to the document or the operation"
    assert sorted(find_errors(document)) == [f"operation listThings: {error}", f"path x-note: {error}"]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("x-models", "maybe", "x-models: `x-models` is text; write true or false"),
        ("x-path-examples", ["a"], "x-path-examples: `x-path-examples` is a list; write an object"),
        ("x-path-examples", {"id": 5}, "x-path-examples: `id` is a number; write text"),
    ],
)
def test_extension_with_another_value_is_an_error(name: str, value: Any, error: str) -> None:
    assert find_errors(change_document(**{name: value})) == [error]
