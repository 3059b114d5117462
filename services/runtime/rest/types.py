"""What handlers take and give beside the generated models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from services.runtime.messaging.events import EventType


@dataclass(frozen=True, slots=True)
class Response[Body]:
    """A success body with the headers that the contract asks for."""

    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = field(default=False, kw_only=True)
    """Whether it is the first answer again, to a repeated `Idempotency-Key`."""


@dataclass(frozen=True, slots=True)
class BinaryResponse:
    """A body that is not JSON."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Event[Body]:
    """A server-sent event. A client that comes back sends the last `id` it has seen; it is one line."""

    id: str
    data: Body


@dataclass(frozen=True, slots=True)
class Upload:
    """The file of a multipart form."""

    filename: str
    media_type: str
    content: bytes = field(repr=False)


class Operation(NamedTuple):
    """One row of the generated table: who handles an operation, and what goes in and out."""

    handler: type
    method: str
    body: Any
    """The type of the body; None without one."""
    status: int
    media_type: str
    """Of the success body; empty without one."""
    cache_until_event: EventType[Any] | None = None
    """The event that makes an answer wrong, which is kept until then; None where each request is answered anew."""


def require[T](value: T | None) -> T:
    """A part that the contract requires. Raises ValueError when the other side left it out."""
    if value is None:
        raise ValueError("a message lacks a part that the contract requires")
    return value


def none_to_unset[T](value: T | None) -> T | UnsetType:
    """For fields of REST models, which leave out what is absent."""
    return UNSET if value is None else value


def unset_to_none[T](value: T | UnsetType) -> T | None:
    """For everything else, where what is absent is None."""
    return None if isinstance(value, UnsetType) else value
