"""Deprecation of operations: dates in the contract, and the response headers Deprecation and Sunset."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any

from codegen.errors import ContractError

SINCE_EXTENSION, SUNSET_EXTENSION = "x-deprecated-since", "x-sunset"
"""Extensions of an operation with `deprecated: true`. Each is a date, from whose beginning in UTC it applies."""

HEADER_DESCRIPTIONS = {
    "Deprecation": "Time since which the operation is deprecated, in Unix seconds (RFC 9745).",
    "Sunset": "Time after which the operation may be removed (RFC 8594).",
}


@dataclass(frozen=True)
class Deprecation:
    """Period from the deprecation of an operation to its removal."""

    since: date
    sunset: date

    @property
    def headers(self) -> dict[str, str]:
        """Return the response headers by name."""
        since, sunset = (datetime.combine(day, time(), UTC) for day in (self.since, self.sunset))
        return {"Deprecation": f"@{since.timestamp():.0f}", "Sunset": format_datetime(sunset, usegmt=True)}

    @property
    def header_objects(self) -> dict[str, dict[str, Any]]:
        """Return the OpenAPI header objects by name."""
        return {
            name: {
                "description": HEADER_DESCRIPTIONS[name],
                "required": True,
                "schema": {"type": "string", "examples": [value]},
            }
            for name, value in self.headers.items()
        }


def parse_deprecation(operation: dict[str, Any]) -> Deprecation | None:
    """Return the deprecation of an operation in the contract; None for an operation that is not deprecated.

    Raises ContractError when a date is missing or invalid, or the operation is not marked as deprecated.
    """
    name = operation["operationId"]
    extensions = [each for each in (SINCE_EXTENSION, SUNSET_EXTENSION) if each in operation]
    if not operation.get("deprecated"):
        if extensions:
            raise ContractError(f"{name} has {extensions[0]} without `deprecated: true`")
        return None
    if len(extensions) != 2:
        raise ContractError(f"the deprecated operation {name} must have {SINCE_EXTENSION} and {SUNSET_EXTENSION}")
    try:
        since, sunset = (date.fromisoformat(str(operation[each])) for each in extensions)
    except ValueError as error:
        raise ContractError(f"{SINCE_EXTENSION} and {SUNSET_EXTENSION} of {name} must be dates: {error}") from error
    if sunset < since:
        raise ContractError(f"{SUNSET_EXTENSION} of {name} is earlier than {SINCE_EXTENSION}")
    return Deprecation(since, sunset)
