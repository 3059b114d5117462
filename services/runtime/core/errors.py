"""Errors that are converted to a gRPC status or a problem document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from generated.problems import Reason
from services.runtime.core.localisation import render_detail


@dataclass(frozen=True, slots=True)
class FieldError:
    """A validation error of one field.

    `field` is a JSON pointer into the body or the name of a parameter. Use cases name a field of an entity, such as
    `lines[2].title_id`, for which the entry point declares the pointer. `message` completes a sentence about it.
    """

    field: str
    message: str


@dataclass(slots=True)
class ApiError(Exception):
    """A failed request, with a reason from the contract's error catalogue.

    `detail`, `errors` and `members` are returned to the caller and must not contain secrets. `detail` is a sentence for
    the user; by default it is that of the catalogue. `members` are further members of the problem document, which the
    contract describes. `retry_after` is in seconds.
    """

    reason: Reason
    detail: str = ""
    errors: Sequence[FieldError] = ()
    retry_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Exception.__init__(self, self.reason, self.detail)
        self.detail = self.detail or render_detail(self.reason, self.members)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class ReauthenticationRequiredError(ApiError):
    """A request for which the caller has not signed in recently enough: at most `max_age` ago."""

    def __init__(self, max_age: timedelta) -> None:
        super().__init__(Reason.REAUTHENTICATION_REQUIRED)
        self.max_age = max_age
