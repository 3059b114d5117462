"""Description of an RPC method, as stated by the contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from betterproto2 import Message


class Idempotency(Enum):
    """Idempotency level of a method (protobuf option `idempotency_level`), which decides about retries."""

    IDEMPOTENCY_UNKNOWN = 0
    NO_SIDE_EFFECTS = 1
    IDEMPOTENT = 2


@dataclass(frozen=True, slots=True)
class Method[Request: Message, Response: Message]:
    """Row of a service's generated method table."""

    service: str
    name: str
    attribute: str
    """Name of the Python method in servicers and stubs."""
    request: type[Request]
    response: type[Response]
    server_streaming: bool
    idempotency: Idempotency
    callers: tuple[str, ...]
    actor_required: bool
    """True when the servicer's method takes the principal and the stub's method forwards the bearer token."""
    timeout_s: float | None
    """Timeout of the whole call including retries; None for a stream without an end."""
    max_attempts: int
    constraints: Mapping[str, Any]
    """JSON Schema of the request, as far as the public contract defines one; otherwise empty."""
    client_streaming: bool = False

    @property
    def is_streaming(self) -> bool:
        """Return whether a side sends a stream."""
        return self.client_streaming or self.server_streaming

    @property
    def path(self) -> str:
        """The `:path` of the HTTP/2 request."""
        return f"/{self.service}/{self.name}"
