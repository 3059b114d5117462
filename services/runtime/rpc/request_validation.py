"""Validation of RPC requests against the constraints of the public contract."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from betterproto2 import Message

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.json_schema import collect_field_errors, compile_schema

type RequestValidator = Callable[[Message], None]


def build_validator(constraints: Mapping[str, Any]) -> RequestValidator:
    """Return a validator for a JSON Schema of an object; an empty schema accepts every request.

    The validator raises ApiError: INVALID_REQUEST.
    """
    if not constraints:
        return lambda request: None
    validator = compile_schema(dict(constraints))

    def validate(request: Message) -> None:
        fields = _extract_fields(request, constraints)
        if not validator.is_valid(fields):
            raise ApiError(Reason.INVALID_REQUEST, errors=collect_field_errors(validator, fields))

    return validate


def check_removed_fields(names: Collection[str], removable: Collection[str]) -> None:
    """Check that an update removes optional fields only.

    Raises ApiError: INVALID_REQUEST.
    """
    errors = [FieldError(f"/{name}", "cannot be removed") for name in names if name not in removable]
    if errors:
        raise ApiError(Reason.INVALID_REQUEST, errors=errors)


def _extract_fields(message: Message, constraints: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constrained fields that are set.

    A zero value of a field with implicit presence counts as absent.
    """
    implicit_presence = constraints["x-implicit-presence"]
    return {
        name: _extract_value(value, schema)
        for name, schema in constraints["properties"].items()
        if (value := getattr(message, name)) is not None and (value or name not in implicit_presence)
    }


def _extract_value(value: Any, schema: Mapping[str, Any]) -> Any:
    if "properties" in schema:
        return _extract_fields(value, schema)
    if "properties" in schema.get("items", ()):
        return [_extract_fields(item, schema["items"]) for item in value]
    return value
