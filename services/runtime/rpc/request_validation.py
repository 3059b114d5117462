"""Holds a request between services to the bounds that the contract states for it."""

from collections.abc import Callable, Mapping
from typing import Any

from betterproto2 import Message

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.json_schema import collect_field_errors, compile_schema

type RequestValidator = Callable[[Message], None]


def build_validator(constraints: Mapping[str, Any]) -> RequestValidator:
    """What raises INVALID_REQUEST for a request outside of its bounds, which are the JSON Schema of an object."""
    if not constraints:
        return lambda request: None
    valid = compile_schema(dict(constraints))

    def held(request: Message) -> None:
        said = _extract_fields(request, constraints)
        if not valid.is_valid(said):
            raise ApiError(Reason.INVALID_REQUEST, errors=collect_field_errors(valid, said))

    return held


def _extract_fields(message: Message, constraints: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with bounds that are there; zero values stand for those that could not be left out."""
    absent = constraints["x-implicit-presence"]
    return {
        name: _extract_value(value, rule)
        for name, rule in constraints["properties"].items()
        if (value := getattr(message, name)) is not None and (value or name not in absent)
    }


def _extract_value(value: Any, schema: Mapping[str, Any]) -> Any:
    if "properties" in schema:
        return _extract_fields(value, schema)
    if "properties" in schema.get("items", ()):
        return [_extract_fields(item, schema["items"]) for item in value]
    return value
