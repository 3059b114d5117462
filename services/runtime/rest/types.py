"""Types shared by handlers and the REST runtime, in addition to the generated models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from services.runtime.messaging.events import EventType


@dataclass(frozen=True, slots=True)
class Response[Body]:
    """Success response of a handler: body and headers."""

    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = field(default=False, kw_only=True)
    """True when the stored response is returned for a repeated `Idempotency-Key`."""


@dataclass(frozen=True, slots=True)
class BinaryResponse:
    """Response body that is not JSON."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Event[Body]:
    """Server-sent event. `id` is one line; a client that reconnects sends the last one it received.

    `name` is the type of the event; an event without a name has the type `message`.
    """

    id: str
    data: Body
    name: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """Uploaded file of a multipart form."""

    filename: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class UploadForm:
    """Multipart form: its file, or None without one, and the arguments of the handler for its other fields."""

    file: Upload | None
    arguments: Mapping[str, Any]


class Operation(NamedTuple):
    """Row of the generated operation table: handler, request type and success response."""

    handler: type
    method: str
    body: Any
    """Type of the request body; None without a body, and for a signed one, which another service parses."""
    status: int
    media_type: str
    """Media type of the success response; empty when it has no body."""
    cache_until_event: EventType[Any] | None = None
    """Event that invalidates cached responses of the operation; None when it is not cached."""


def require[T](value: T | None) -> T:
    """Return a field that the contract requires.

    Raises ValueError when the other service has not set it.
    """
    if value is None:
        raise ValueError("message lacks a required field")
    return value


def none_to_unset[T](value: T | None) -> T | UnsetType:
    """Convert None to UNSET, for fields of REST models."""
    return UNSET if value is None else value


def unset_to_none[T](value: T | UnsetType) -> T | None:
    """Convert UNSET, the absent value of REST models, to None."""
    return None if isinstance(value, UnsetType) else value


def build_model[Model: Struct](model: type[Model], source: object, **values: Any) -> Model:
    """Build a model from the attributes of an object; `values` replace attributes, and None leaves a field unset."""
    fields = {name: values[name] if name in values else getattr(source, name) for name in model.__struct_fields__}
    return model(**{name: value for name, value in fields.items() if value is not None})


def collect_set_fields(model: Struct) -> dict[str, Any]:
    """Return the values of the fields that are not absent."""
    fields = {name: getattr(model, name) for name in model.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not UNSET}


def list_null_fields(patch: Struct) -> list[str]:
    """Return the names of the fields that a merge patch sets to null, which removes their values."""
    return [name for name in patch.__struct_fields__ if getattr(patch, name) is None]
