"""Rules of schemas with models."""

from typing import Any

import pytest

from tests.unit.codegen.openapi.sample_documents import Json, find_errors, with_body, with_property, with_schemas

REFERENCE = {"$ref": "#/components/schemas/Thing"}
TEXT = {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": ["string", "null"], "enum": ["low", None]},
        {"type": ["integer", "string"]},
        {"type": "integer", "enum": [1, 2]},
        {"type": "string", "format": "decimal"},
        {"type": "string", "default": "a", "maxLength": 1},
        {"type": "object", "additionalProperties": TEXT, "default": {}},
        {"type": "array", "items": REFERENCE, "maxItems": 3, "default": [{"id": "a"}]},
        {"allOf": [REFERENCE, {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["id", "n"]}]},
        {"oneOf": [REFERENCE, {"type": "null"}]},
        {"type": "object", "additionalProperties": TEXT, "propertyNames": {"pattern": "^a"}},
        {"type": "object", "properties": dict.fromkeys(("class", "a b", "@type", "größe"), TEXT)},
        REFERENCE | {"description": "A thing.", "default": {"id": "a"}},
    ],
)
def test_supported_schema_has_no_error(schema: Any) -> None:
    assert find_errors(with_property(schema)) == []


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        (False, "the schema `false` permits no value; remove it"),
        (REFERENCE | {"maxLength": 5}, "`maxLength` beside a reference is not supported"),
        ({"type": "text"}, "the type text is unknown; use one of array, boolean"),
        ({"type": []}, "the list of types is empty or repeats one; correct the list"),
        (
            {"type": "string", "minimum": 1},
            "`minimum` does not apply to this type; remove it, or write the type integer",
        ),
        ({"maxLength": 1}, "`maxLength` does not apply to this type; remove it, or write the type string"),
        ({"type": "array"}, "the array has no `items`; describe its items"),
        ({"type": "string", "format": "colour"}, "the format colour is not supported here; use one of date, date-time"),
        ({"type": "string", "format": "int32"}, "the format int32 is not supported here"),
        (
            {"type": "number", "format": "decimal"},
            "the format decimal is not supported here; write `type: string, format: decimal`, or use the format double",
        ),
        ({"type": "string", "format": "binary"}, "use the format byte, or send the file as multipart/form-data"),
        ({"type": "string", "enum": []}, "the enum has no values; list its values"),
        ({"enum": ["a", 1]}, "the values are neither all text nor all whole numbers; use one of both"),
        ({"type": "number", "enum": [1.5]}, "the values are neither all text nor all whole numbers; use one of both"),
        ({"type": "boolean", "enum": [True]}, "the values are neither all text nor all whole numbers; use one of both"),
        ({"enum": ["a", "a"]}, "the enum repeats a value; remove it"),
        ({"type": "string", "enum": ["a", None]}, "the enum has the value null, but its type has not"),
        ({"type": ["string", "null"], "enum": ["a"]}, "the type has the value null, but the enum has not"),
        ({"type": "integer", "enum": ["a"]}, "the values do not have the type of the enum; correct one of them"),
        ({"type": "string", "pattern": "["}, "the pattern is not a portable regular expression (unterminated"),
        ({"type": "string", "pattern": r"\p{L}"}, r"the pattern is not a portable regular expression (bad escape \p"),
        (
            {"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT},
            "the model of an object with `properties` cannot hold additional ones; "
            "move the additional properties to a property that is a map",
        ),
        ({"type": "object", "properties": {"a": TEXT}, "required": ["b"]}, "the required property b is not described"),
        ({"type": "object", "properties": {'a"b': TEXT}}, "the name of the property has a quote, a backslash or"),
        ({"oneOf": [TEXT], "anyOf": [TEXT]}, "`oneOf` beside `anyOf` is not supported; use one of both"),
        ({"oneOf": []}, "oneOf"),
        (
            {"allOf": [{"type": "object", "additionalProperties": False, "properties": {"a": TEXT}}]},
            "no value matches an object with `additionalProperties: false` and the other parts; "
            "write `unevaluatedProperties: false` beside `allOf` instead",
        ),
        ({"type": ["string", "null"], "default": None}, "the default null is the same as no value; remove it"),
        (
            {"type": "string", "format": "date-time", "default": "2024-05-01T10:00:00Z"},
            "a default of the format date-time is not supported; remove it, and set the value where it is used",
        ),
        ({"type": "integer", "default": "3"}, "the default '3' does not match its schema; correct it"),
        (REFERENCE | {"default": {}}, "the default {} does not match its schema; correct it"),
        ({"type": "string", "readOnly": True}, "`readOnly` has no effect on the model; declare separate schemas"),
    ],
)
def test_unsupported_schema_is_an_error(schema: Any, error: str) -> None:
    (message,) = find_errors(with_property(schema))
    assert message.startswith("schema Thing.value")
    assert error in message


def test_default_of_named_scalar_must_match() -> None:
    (error,) = find_errors(with_schemas(Level={"type": "string", "enum": ["low"], "default": "high"}))
    assert error == "schema Level: the default 'high' does not match its schema; correct it"


def test_schemas_of_operations_are_checked() -> None:
    schema = {"type": "array", "items": {"type": "string", "minimum": 1}}
    (error,) = find_errors(with_body({"application/json": {"schema": schema}}))
    assert error.startswith("operation listThings: `minimum` does not apply to this type")


def test_documents_without_models_permit_other_schemas() -> None:
    assert find_errors(with_property({"type": "string", "format": "colour"}), has_models=False, is_served=False) == []


CAT, DOG = {"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}
ANIMAL: Json = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        ({"discriminator": {"propertyName": "a"}}, "a discriminator without `oneOf` or `anyOf` is not supported"),
        ({"discriminator": {"propertyName": 5}, "oneOf": [CAT]}, "`propertyName` is a number; write text"),
        ({"discriminator": {}, "oneOf": [CAT]}, "the discriminator lacks `propertyName`; add it"),
        (
            {"discriminator": {"propertyName": "a", "mapping": {"x": "Bird"}}, "oneOf": [CAT, DOG]},
            "the discriminator maps x to Bird, which is no alternative; correct it",
        ),
        (
            {"discriminator": {"propertyName": "a"}, "oneOf": [CAT, {"type": "object"}]},
            "an alternative of the discriminator has no name; move it to `components/schemas`",
        ),
    ],
)
def test_unsupported_discriminator_is_an_error(schema: Json, error: str) -> None:
    messages = find_errors(with_schemas(Cat=ANIMAL, Dog=ANIMAL, Pet=schema))
    assert any(error in message for message in messages), messages


@pytest.mark.parametrize("mapping", [{}, {"x": "Cat"}, {"x": "#/components/schemas/Dog", "y": "Cat"}])
def test_discriminator_of_named_schemas_has_no_error(mapping: dict[str, str]) -> None:
    pet = {"discriminator": {"propertyName": "a", "mapping": mapping}, "oneOf": [CAT, DOG]}
    assert find_errors(with_schemas(Cat=ANIMAL, Dog=ANIMAL, Pet=pet)) == []
