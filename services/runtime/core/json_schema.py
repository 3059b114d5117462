"""JSON Schema validators, compiled once."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import jsonschema_rs

from services.runtime.core.errors import FieldError

MAX_ERRORS = 20
"""How many errors an answer names; a body can hold thousands."""


UNREPRESENTABLE_TIME = "is no time that can be taken"
"""Said of dates and times that a schema allows and Python does not: leap seconds, the year 0."""


def compile_schema(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """A validator of one schema whose references are followed already.

    Patterns run in linear time, and messages say "value" in place of what was sent: it may be a password.
    """
    return jsonschema_rs.Draft202012Validator(
        schema,
        mask="value",
        validate_formats=True,
        ignore_unknown_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def collect_field_errors(validator: jsonschema_rs.Draft202012Validator, value: Any) -> list[FieldError]:
    """What is wrong, each with a JSON pointer to where."""
    errors = islice(validator.iter_errors(value), MAX_ERRORS)
    return [FieldError(to_json_pointer(error.instance_path), error.message[:300]) for error in errors]


def to_json_pointer(path: Iterable[str | int]) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
