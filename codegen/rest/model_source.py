"""Schemas as the generator of the models receives them: with names of classes, and with all defaults in place."""

import re
from typing import Any

from codegen.openapi.findings import Pointer
from codegen.openapi.names import get_class_name
from codegen.openapi.schemas import SCHEMAS_PREFIX, Schema, iter_children, list_types


class ModelSource:
    """Conversion of the schemas of one document."""

    def __init__(self, schemas: dict[str, Schema]) -> None:
        self._schemas = schemas
        self._class_names = {get_class_name(name) for name in schemas}

    def convert(self) -> dict[str, Schema]:
        """Return the schemas by class. A title would replace the name of a schema."""
        converted = {}
        for name, schema in self._schemas.items():
            class_name = get_class_name(name)
            copy = self._convert(schema, class_name, "")
            converted[class_name] = {key: value for key, value in copy.items() if key != "title"}
        return converted

    def _convert(self, schema: Any, class_name: str, property_name: str) -> Any:
        if not isinstance(schema, dict):
            return schema
        copy = dict(schema)
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(SCHEMAS_PREFIX)
            copy["$ref"] = SCHEMAS_PREFIX + get_class_name(name)
            target = self._schemas.get(name, {})
            if property_name and "enum" in target and "default" in target and "default" not in schema:
                copy["default"] = target["default"]
        elif "discriminator" in schema:
            copy["discriminator"] = self._convert_discriminator(schema)
        elif property_name and has_class(schema) and "title" not in schema:
            self._add_title(copy, class_name, property_name)
        for child, pointer in iter_children(schema, ()):
            _replace(copy, pointer, self._convert(child, class_name, _get_property_name(pointer) or property_name))
        return copy

    def _convert_discriminator(self, schema: Schema) -> Schema:
        """Return the discriminator with the classes of its mapping. A schema without an entry has its name as value."""
        parts = [
            part["$ref"].removeprefix(SCHEMAS_PREFIX) for key in ("oneOf", "anyOf") for part in schema.get(key, ())
        ]
        declared = schema["discriminator"].get("mapping", {})
        names = {value: target.removeprefix(SCHEMAS_PREFIX) for value, target in declared.items()}
        mapping = {part: part for part in parts if part not in names.values()} | names
        classes = {value: SCHEMAS_PREFIX + get_class_name(name) for value, name in mapping.items()}
        return {**schema["discriminator"], "mapping": classes}

    def _add_title(self, schema: Schema, class_name: str, property_name: str) -> None:
        """Name the class of a property after its parent too, if another class has the name of the property."""
        name = get_class_name(property_name)
        if {name, f"{name}Item", f"{name}Enum"} & self._class_names:
            schema["title"] = class_name + re.sub(r"^\W+", "", name)
        self._class_names.add(name)


def has_class(schema: Schema) -> bool:
    """Return whether an inline schema becomes a class: an object with properties, or an enum."""
    return "enum" in schema or ("object" in list_types(schema) and bool(schema.get("properties")))


def _get_property_name(pointer: Pointer) -> str:
    return str(pointer[1]) if pointer[0] == "properties" else ""


def _replace(schema: Schema, pointer: Pointer, child: Any) -> None:
    """Replace a schema within a copied one, without a change of the original."""
    key, *rest = pointer
    if not rest:
        schema[str(key)] = child
        return
    container = schema[str(key)]
    if isinstance(container, dict):
        schema[str(key)] = container | {str(rest[0]): child}
    else:
        schema[str(key)] = [child if index == rest[0] else each for index, each in enumerate(container)]
