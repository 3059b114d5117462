"""Idempotency keys of requests, and the responses that are stored for them."""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from services.runtime.core.principal import Principal


class IdempotencyKey(NamedTuple):
    """Idempotency key of a user's request to an operation, such as "startLoan".

    `request` is a deterministic encoding of the request.
    """

    actor: str
    operation: str
    key: str
    request: bytes


def build_idempotency_key(
    principal: Principal, operation: str, key: str | None, request: object
) -> IdempotencyKey | None:
    """Return the idempotency key of a request, or None without one. A repeated key requires an equal `request`."""
    return None if key is None else IdempotencyKey(principal.user_id, operation, key, msgspec.json.encode(request))


@dataclass(slots=True)
class IdempotentResponse:
    """Encoded response of a request, without secrets. `replayed` is true for that of an earlier request."""

    data: bytes = b""
    replayed: bool = False
