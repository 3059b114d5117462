"""Schemas as the generator of the models receives them."""

import copy
from typing import Any

from codegen.rest.model_source import ModelSource

COLOUR = {"type": "string", "enum": ["red"], "default": "red"}
REFERENCE = {"$ref": "#/components/schemas/colour"}


def convert(**schemas: Any) -> Any:
    original = copy.deepcopy(schemas)
    converted = ModelSource(schemas).convert()
    assert schemas == original
    return converted


def test_schemas_and_references_have_names_of_classes() -> None:
    assert convert(colour={"type": "string"}, Things={"type": "array", "items": REFERENCE}) == {
        "Colour": {"type": "string"},
        "Things": {"type": "array", "items": {"$ref": "#/components/schemas/Colour"}},
    }


def test_title_of_a_named_schema_is_removed() -> None:
    assert convert(Thing={"type": "object", "title": "A thing"}) == {"Thing": {"type": "object"}}


def test_default_of_a_referenced_enum_is_that_of_the_property() -> None:
    properties = {"a": REFERENCE, "b": REFERENCE | {"default": "blue"}}
    (thing,) = [convert(colour=COLOUR, Thing={"type": "object", "properties": properties})["Thing"]]
    defaults = {name: schema["default"] for name, schema in thing["properties"].items()}
    assert defaults == {"a": "red", "b": "blue"}


def test_inline_class_with_the_name_of_another_has_a_title() -> None:
    inline = {"type": "string", "enum": ["a"]}
    properties = {"colour": inline, "size": inline, "level": inline | {"title": "Grade"}}
    converted = convert(Colour=COLOUR, Thing={"type": "object", "properties": properties})["Thing"]["properties"]
    assert {name: schema.get("title") for name, schema in converted.items()} == {
        "colour": "ThingColour",
        "size": None,
        "level": "Grade",
    }


def test_repeated_inline_class_has_a_title() -> None:
    item = {"type": "object", "properties": {"n": {"type": "integer"}}}
    thing = {"type": "object", "properties": {"part": {"type": "array", "items": item}}}
    converted = convert(A=thing, B=thing)
    titles = [converted[name]["properties"]["part"]["items"].get("title") for name in "AB"]
    assert titles == [None, "BPart"]


def test_discriminator_maps_values_to_classes() -> None:
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in ("dog-item", "Cat")]
    schemas: dict[str, Any] = {"dog-item": {"type": "object"}, "Cat": {"type": "object"}}
    cases: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {"dog-item": "DogItem", "Cat": "Cat"}),
        ({"dog": "dog-item"}, {"Cat": "Cat", "dog": "DogItem"}),
        ({"dog": "#/components/schemas/dog-item", "cat": "Cat"}, {"dog": "DogItem", "cat": "Cat"}),
    ]
    for mapping, expected in cases:
        pet = {"oneOf": refs, "discriminator": {"propertyName": "kind", "mapping": mapping}}
        converted = ModelSource(schemas | {"Pet": pet}).convert()["Pet"]["discriminator"]
        assert converted["mapping"] == {value: f"#/components/schemas/{name}" for value, name in expected.items()}
