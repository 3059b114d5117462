"""The one exception by which a rule says no, on its way to a gRPC status or a problem document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from generated.problems import PROBLEMS, Reason


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: a JSON pointer into the body or a parameter's name, and a sentence."""

    field: str
    message: str


@dataclass(slots=True)
class ApiError(Exception):
    """A request that cannot be done, with a reason from the contract's catalogue.

    `detail` and `errors` are shown to the caller, so they name no secret. `retry_after` is in seconds.
    """

    reason: Reason
    detail: str = ""
    errors: Sequence[FieldError] = ()
    retry_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Exception.__init__(self, self.reason, self.detail)
        self.detail = self.detail or PROBLEMS[self.reason].description

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
