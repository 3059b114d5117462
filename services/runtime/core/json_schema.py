"""Compiled JSON Schema validators."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import jsonschema_rs

from services.runtime.core.errors import FieldError

MAX_ERRORS = 20
"""Maximum number of errors in a response; a body can contain thousands."""


UNREPRESENTABLE_TIME = "is not a supported date or time"
"""Message for dates and times that a schema allows and Python cannot represent: leap seconds, the year 0."""


def compile_schema(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Return a validator for a schema whose references are already resolved.

    Patterns are matched in linear time. Error messages contain "value" instead of the input, which may be a password.
    """
    return jsonschema_rs.Draft202012Validator(
        schema,
        mask="value",
        validate_formats=True,
        ignore_unknown_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def collect_field_errors(validator: jsonschema_rs.Draft202012Validator, value: Any) -> list[FieldError]:
    """Return at most MAX_ERRORS validation errors, each with a JSON pointer to its location."""
    errors = islice(validator.iter_errors(value), MAX_ERRORS)
    return [FieldError(to_json_pointer(error.instance_path), error.message[:300]) for error in errors]


def to_json_pointer(path: Iterable[str | int]) -> str:
    """Return the path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
