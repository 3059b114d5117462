"""Holds a request between services to the bounds that the contract states for it."""

from collections.abc import Callable, Mapping
from typing import Any

from betterproto2 import Message

from generated.problems import Reason
from services.runtime.refusal import Refusal
from services.runtime.schema import compile_schema, field_errors

type Check = Callable[[Message], None]


def check(bounds: Mapping[str, Any]) -> Check:
    """What raises INVALID_REQUEST for a request outside of its bounds, which are the JSON Schema of an object."""
    if not bounds:
        return lambda request: None
    valid = compile_schema(dict(bounds))

    def held(request: Message) -> None:
        said = _said(request, bounds)
        if not valid.is_valid(said):
            raise Refusal(Reason.INVALID_REQUEST, errors=field_errors(valid, said))

    return held


def _said(message: Message, bounds: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with bounds that are there; zero values stand for those that could not be left out."""
    absent = bounds["x-absent"]
    return {
        name: _value(value, rule)
        for name, rule in bounds["properties"].items()
        if (value := getattr(message, name)) is not None and (value or name not in absent)
    }


def _value(value: Any, rule: Mapping[str, Any]) -> Any:
    if "properties" in rule:
        return _said(value, rule)
    if "properties" in rule.get("items", ()):
        return [_said(item, rule["items"]) for item in value]
    return value
