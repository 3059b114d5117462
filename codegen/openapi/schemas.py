"""Rules of the schemas that have models: schema, generated class and JSON must mean the same."""

import re
from collections.abc import Iterator
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from codegen.openapi.findings import Findings, Pointer, parse_reference

type Schema = dict[str, Any]

SCHEMAS_PREFIX = "#/components/schemas/"
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
FORMATS = {
    "integer": ("int32", "int64"),
    "number": ("double", "float"),
    "string": (
        *("date", "date-time", "duration", "time"),
        *("byte", "decimal", "email", "hostname", "ipv4", "ipv6", "password", "uri", "uri-reference", "uuid"),
    ),
}
FORMS_ONLY_FORMAT = "binary"
FORMATS_WITHOUT_DEFAULT = ("date", "date-time", "duration", "time")
SCALARS = ("boolean", "integer", "number", "string")
KEYWORD_TYPES = {
    **dict.fromkeys(("minLength", "maxLength", "pattern"), ("string",)),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), ("integer", "number")
    ),
    **dict.fromkeys(("items", "minItems", "maxItems", "uniqueItems"), ("array",)),
    **dict.fromkeys(
        ("properties", "required", "additionalProperties", "minProperties", "maxProperties", "propertyNames"),
        ("object",),
    ),
    "format": ("string", "integer", "number"),
}
"""Types to which a keyword applies."""

VALUE_TYPES: dict[type, str] = {str: "string", int: "integer"}
PROPERTY_PATTERN = re.compile(r'[^"\\\x00-\x1f\x7f]+')
COMBINATIONS = ("allOf", "oneOf", "anyOf")
ANNOTATIONS = frozenset(
    {"$ref", "$comment", "deprecated", "description", "example", "examples", "externalDocs", "title"}
)
REFERENCE_SIBLINGS = ANNOTATIONS | {"default"}


class SchemaCheck:
    """Check of the schemas of one document."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._components = findings.file.document.get("components", {})

    def check(self, schema: Any, pointer: Pointer, *, permits_binary: bool = False) -> None:
        """Check a schema and the schemas within it. References are not followed."""
        if isinstance(schema, bool):
            if not schema:
                self._findings.add(pointer, "the schema `false` permits no value", "remove it")
            elif pointer[:-1] == ("components", "schemas"):
                self._findings.add(pointer, "the schema `true` has no model", "write it where it is used")
            return
        if "$ref" in schema:
            self._check_reference_siblings(schema, pointer)
        else:
            self._check_types(schema, pointer, permits_binary=permits_binary)
            self._check_values(schema, pointer)
            self._check_pattern(schema, pointer)
            self._check_object(schema, pointer)
            self._check_combinations(schema, pointer)
            self._check_discriminator(schema, pointer)
        self._check_default(schema, pointer)
        if schema.get("readOnly"):
            remedy = "declare separate schemas for requests and responses"
            self._findings.add((*pointer, "readOnly"), "`readOnly` has no effect on the model", remedy)
        for child, at in iter_children(schema, pointer):
            self.check(child, at, permits_binary=permits_binary and at[-2] == "properties")

    def _check_reference_siblings(self, schema: Schema, pointer: Pointer) -> None:
        for key in schema:
            if key not in REFERENCE_SIBLINGS and not key.startswith("x-"):
                problem = f"`{key}` beside a reference is not supported"
                self._findings.add((*pointer, key), problem, "declare another schema, or combine both with `allOf`")

    def _check_types(self, schema: Schema, pointer: Pointer, *, permits_binary: bool) -> None:
        kinds = ["string"] if pointer[-1] == "propertyNames" else list_types(schema)
        if unknown := [kind for kind in kinds if kind not in TYPES]:
            problem = f"the type {unknown[0]} is unknown"
            self._findings.add((*pointer, "type"), problem, f"use one of {', '.join(TYPES)}")
            return
        if "type" in schema and (not kinds or len(kinds) != len(set(kinds))):
            self._findings.add((*pointer, "type"), "the list of types is empty or repeats one", "correct the list")
        for key, types in KEYWORD_TYPES.items():
            if key in schema and (kinds or key not in ("properties", "required")) and not set(kinds) & set(types):
                remedy = f"remove it, or write the type {' or '.join(types)}"
                self._findings.add((*pointer, key), f"`{key}` does not apply to this type", remedy)
        if "array" in kinds and "items" not in schema:
            self._findings.add(pointer, "the array has no `items`", "describe its items")
        self._check_format(schema, kinds, pointer, permits_binary=permits_binary)

    def _check_format(self, schema: Schema, kinds: list[str], pointer: Pointer, *, permits_binary: bool) -> None:
        name = schema.get("format")
        supported = [each for kind in kinds for each in FORMATS.get(kind, ())]
        if name is None or name in supported or (permits_binary and name == FORMS_ONLY_FORMAT):
            return
        remedy = f"use one of {', '.join(supported)}, or none" if supported else "remove it"
        if name == "decimal":
            remedy = "write `type: string, format: decimal`, or use the format double"
        if name == FORMS_ONLY_FORMAT:
            remedy = "use the format byte, or send the file as multipart/form-data"
        self._findings.add((*pointer, "format"), f"the format {name} is not supported here", remedy)

    def _check_values(self, schema: Schema, pointer: Pointer) -> None:
        if "enum" not in schema:
            return
        values, at = schema["enum"], (*pointer, "enum")
        if not isinstance(values, list) or not values:
            self._findings.add(at, "the enum has no values", "list its values")
            return
        present = [value for value in values if value is not None]
        kinds = {type(value) for value in present}
        if kinds not in ({str}, {int}):
            self._findings.add(at, "the values are neither all text nor all whole numbers", "use one of both")
        elif len(set(present)) != len(present):
            self._findings.add(at, "the enum repeats a value", "remove it")
        types = list_types(schema)
        if types and len(present) < len(values) and "null" not in types:
            self._findings.add(
                at, "the enum has the value null, but its type has not", "write `type: [string, 'null']`"
            )
        elif types and "null" in types and len(present) == len(values):
            self._findings.add(at, "the type has the value null, but the enum has not", "add null to the enum")
        elif types and any(VALUE_TYPES[kind] not in types for kind in kinds & VALUE_TYPES.keys()):
            self._findings.add(at, "the values do not have the type of the enum", "correct one of them")

    def _check_pattern(self, schema: Schema, pointer: Pointer) -> None:
        if "pattern" not in schema:
            return
        try:
            re.compile(schema["pattern"])
            Draft202012Validator({"pattern": schema["pattern"]})
        except (re.error, ValidationError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            problem = f"the pattern is not a portable regular expression ({reason})"
            self._findings.add((*pointer, "pattern"), problem, "use only constructs of Python and Rust")

    def _check_object(self, schema: Schema, pointer: Pointer) -> None:
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties", True)
        if properties and isinstance(extra, dict) and extra:
            problem = "the model of an object with `properties` cannot hold additional ones"
            remedy = "move the additional properties to a property that is a map"
            self._findings.add((*pointer, "additionalProperties"), problem, remedy)
        for name in properties:
            if not PROPERTY_PATTERN.fullmatch(name):
                problem = "the name of the property has a quote, a backslash or a control character, or is empty"
                self._findings.add((*pointer, "properties", name), problem, "rename it")
        is_part = any(key in COMBINATIONS for key in (*pointer[-2:-1], *schema))
        if not is_part and (unknown := [name for name in schema.get("required", ()) if name not in properties]):
            problem = f"the required property {unknown[0]} is not described"
            self._findings.add((*pointer, "required"), problem, "add it to `properties`")

    def _check_combinations(self, schema: Schema, pointer: Pointer) -> None:
        used = [key for key in COMBINATIONS if key in schema]
        if len(used) > 1:
            self._findings.add(pointer, f"`{used[0]}` beside `{used[1]}` is not supported", "use one of both")
        for key in used:
            if not schema[key]:
                self._findings.add((*pointer, key), f"`{key}` is empty", "remove it")
        for index, part in enumerate(schema.get("allOf", ())):
            if self.resolve(part).get("additionalProperties") is False:
                problem = "no value matches an object with `additionalProperties: false` and the other parts"
                remedy = "write `unevaluatedProperties: false` beside `allOf` instead"
                self._findings.add((*pointer, "allOf", index), problem, remedy)

    def _check_discriminator(self, schema: Schema, pointer: Pointer) -> None:
        if "discriminator" not in schema:
            return
        alternatives = [part for key in ("oneOf", "anyOf") for part in schema.get(key, ())]
        parts = [part.get("$ref") if isinstance(part, dict) else None for part in alternatives]
        at = (*pointer, "discriminator")
        if None in parts:
            self._findings.add(at, "an alternative of the discriminator has no name", "move it to `components/schemas`")
        if not parts:
            problem = "a discriminator without `oneOf` or `anyOf` is not supported"
            self._findings.add(at, problem, "list the schemas with `oneOf`, or remove it")
        for value, target in schema["discriminator"].get("mapping", {}).items():
            if target not in parts and f"{SCHEMAS_PREFIX}{target}" not in parts:
                problem = f"the discriminator maps {value} to {target}, which is no alternative"
                self._findings.add(at, problem, "correct it, or add the schema to the alternatives")

    def _check_default(self, schema: Schema, pointer: Pointer) -> None:
        if "default" not in schema:
            return
        at, resolved, value = (*pointer, "default"), self.resolve(schema), schema["default"]
        if value is None:
            self._findings.add(at, "the default null is the same as no value", "remove it")
        elif resolved.get("format") in FORMATS_WITHOUT_DEFAULT:
            problem = f"a default of the format {resolved['format']} is not supported"
            self._findings.add(at, problem, "remove it, and set the value where it is used")
        elif not self.is_valid(schema, value):
            self._findings.add(at, f"the default {value!r} does not match its schema", "correct it")

    def is_valid(self, schema: Schema, value: Any) -> bool:
        """Return whether a value matches a schema; also for an invalid schema, which has its own error."""
        try:
            return Draft202012Validator({**schema, "components": self._components}).is_valid(value)
        except (ValidationError, ValueError):
            return True

    def resolve(self, schema: Any) -> Schema:
        """Return the schema at the end of a chain of references; empty if it does not exist."""
        for _ in range(len(self._components.get("schemas", {})) + 1):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            schema = self._components.get("schemas", {}).get(str(parse_reference(schema["$ref"])[-1]), {})
        return schema if isinstance(schema, dict) and "$ref" not in schema else {}


def list_types(schema: Schema) -> list[str]:
    """Return the types of a schema; empty if it does not restrict them."""
    kinds = schema.get("type", [])
    return [str(kind) for kind in kinds] if isinstance(kinds, list) else [str(kinds)]


def is_scalar(schema: Schema) -> bool:
    """Return whether a schema permits exactly one scalar type."""
    kinds = list_types(schema)
    return len(kinds) == 1 and kinds[0] in SCALARS


def iter_children(schema: Schema, pointer: Pointer) -> Iterator[tuple[Any, Pointer]]:
    """Yield the schemas directly within a schema, with their pointers."""
    for name, child in schema.get("properties", {}).items():
        yield child, (*pointer, "properties", name)
    for key in ("items", "additionalProperties", "contentSchema", "propertyNames", "not"):
        if isinstance(schema.get(key), dict):
            yield schema[key], (*pointer, key)
    for key in COMBINATIONS:
        for index, child in enumerate(schema.get(key, ())):
            yield child, (*pointer, key, index)
