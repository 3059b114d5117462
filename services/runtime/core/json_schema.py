"""Compiled JSON Schema validators, and the parser of JSON bodies that uses them."""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError

MAX_ERRORS = 20
"""Maximum number of errors in a response; a body can contain thousands."""

MAX_JSON_DEPTH = 64
"""Maximum nesting depth of a JSON body."""


_MESSAGES_BY_PATTERN = {
    r"^\+[1-9][0-9]{6,14}$": "must be a phone number with country code such as +4915112345678",
    "^[A-Z]{3}$": "must be a currency code such as EUR",
    r"^\s*[^\x00\s][^\x00]*$": "must not be only white space",
    r"^[^\S\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$": (
        "must not be only white space, and not contain control characters"
    ),
}
_MESSAGES_BY_FORMAT = {
    "email": "must be an e-mail address",
    "date": "must be a date such as 2026-12-31",
    "date-time": "must be a time such as 2026-12-31T23:59:59Z",
}
_TYPE_MESSAGES = {
    "string": "must be text",
    "integer": "must be a whole number",
    "number": "must be a number",
    "boolean": "must be true or false",
    "array": "must be a list",
    "object": "must be an object",
    "null": "must be empty",
}
_LIMIT_MESSAGES = {
    "minLength": "must have {} or more characters",
    "maxLength": "must have {} or fewer characters",
    "minItems": "must have {} or more entries",
    "maxItems": "must have {} or fewer entries",
    "minProperties": "must have {} or more entries",
    "maxProperties": "must have {} or fewer entries",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
}
_DATA_KEYWORDS = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords whose values are data and no schemas."""

_OTHER_MESSAGES = {"uniqueItems": "must not have duplicate entries"}

UNREPRESENTABLE_TIME = "is not a supported date or time"
"""Message for dates and times that a schema allows and Python cannot represent: leap seconds, the year 0."""


def compile_schema(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Return a validator for a schema whose references are already resolved.

    Patterns are matched in linear time. Error messages contain "value" instead of the input, which may be a password.
    """
    return jsonschema_rs.Draft202012Validator(
        define_recursive_schemas(schema),
        mask="value",
        validate_formats=True,
        ignore_unknown_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def define_recursive_schemas(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with references in place of the schemas that contain themselves."""
    names: dict[int, str] = {}
    definitions: dict[str, Any] = {}

    def convert(node: Any, parents: frozenset[int]) -> Any:
        if isinstance(node, list):
            return [convert(item, parents) for item in node]
        if not isinstance(node, dict):
            return node
        if id(node) in parents:
            return {"$ref": f"#/$defs/{names.setdefault(id(node), str(len(names)))}"}
        inner = parents | {id(node)}
        converted = {
            key: {name: convert(each, inner) for name, each in value.items()}
            if key == "properties"
            else value
            if key in _DATA_KEYWORDS
            else convert(value, inner)
            for key, value in node.items()
        }
        if id(node) in names:
            definitions[names[id(node)]] = converted
        return converted

    defined = convert(schema, frozenset())
    return {**defined, "$defs": definitions} if definitions else schema


def collect_field_errors(validator: jsonschema_rs.Draft202012Validator, value: Any) -> list[FieldError]:
    """Return at most MAX_ERRORS validation errors, each with a JSON pointer to its location."""
    errors = islice(validator.iter_errors(value), MAX_ERRORS)
    return [FieldError(to_json_pointer(error.instance_path), describe_error(error)[:300]) for error in errors]


def describe_error(error: jsonschema_rs.ValidationError) -> str:
    """Return a plain sentence about a value, without the value, which may be a password."""
    name, facts = error.kind.name, error.kind.as_dict()
    match name:
        case "required":
            return f'"{facts["property"]}" is missing'
        case "additionalProperties" | "unevaluatedProperties":
            return f'"{", ".join(facts["unexpected"])}" is unknown'
        case "type":
            return _describe_types(facts["types"])
        case "enum":
            return f"must be one of {', '.join(map(str, facts['options']))}"
        case "pattern":
            return _MESSAGES_BY_PATTERN.get(facts["pattern"], "has an invalid format")
        case "format":
            return _MESSAGES_BY_FORMAT.get(facts["format"], "has an invalid format")
        case _ if name in _LIMIT_MESSAGES:
            return _LIMIT_MESSAGES[name].format(facts["limit"])
    return _OTHER_MESSAGES.get(name, "is invalid")


def _describe_types(types: Iterable[str]) -> str:
    names = [name for name in types if name != "null"]
    return _TYPE_MESSAGES.get(names[0], "is invalid") if len(names) == 1 else "is invalid"


def to_json_pointer(path: Iterable[str | int]) -> str:
    """Return the path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


class JsonParser[Model]:
    """Parser of JSON bodies with one schema, whose references are resolved, and its model."""

    def __init__(self, schema: dict[str, Any], model: type[Model]) -> None:
        self._validator = compile_schema(schema)
        self._model = model

    def parse(self, raw: bytes) -> Model:
        """Return a valid body as its model.

        Raises ApiError: INVALID_REQUEST.
        """
        if not raw:
            raise ApiError(
                Reason.INVALID_REQUEST, "The request body is missing.", errors=[FieldError("", "is missing")]
            )
        try:
            body = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = "is not JSON"
            raise ApiError(Reason.INVALID_REQUEST, f"The body {message}.", errors=[FieldError("", message)]) from error
        # A body cannot be deeper than its number of opening brackets, which is faster to count.
        if raw.count(b"[") + raw.count(b"{") > MAX_JSON_DEPTH and exceeds_max_depth(body):
            raise ApiError(
                Reason.INVALID_REQUEST, errors=[FieldError("", f"is nested deeper than {MAX_JSON_DEPTH} levels")]
            )
        return self.convert(body)

    def convert(self, body: Any) -> Model:
        """Return a valid decoded body as its model.

        Raises ApiError: INVALID_REQUEST.
        """
        if not self._validator.is_valid(body):
            raise ApiError(Reason.INVALID_REQUEST, errors=collect_field_errors(self._validator, body))
        try:
            # JSON Schema accepts 1.0 as an integer, so the conversion is lax. The schema has checked the types.
            return msgspec.convert(body, self._model, strict=False)
        except msgspec.ValidationError as error:
            # The schema accepts dates and times that do not exist or that datetime cannot represent.
            raise ApiError(
                Reason.INVALID_REQUEST, errors=[FieldError(extract_error_pointer(str(error)), UNREPRESENTABLE_TIME)]
            ) from error


def extract_error_pointer(message: str) -> str:
    """Return the JSON pointer of a msgspec error message: `… - at `$.items[0].born`` → /items/0/born."""
    _, _, path = message.rpartition(" - at `$")
    return to_json_pointer(name or index for name, index in re.findall(r"\.([^.\[\]`]+)|\[([0-9]+)\]", path))


def exceeds_max_depth(body: Any) -> bool:
    """Return whether values nest deeper than MAX_JSON_DEPTH. No body in the contract is that deep."""
    level: list[Any] = [body]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
