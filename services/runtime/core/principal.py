"""Authenticated user of a request, verified by the sidecar."""

import base64
import binascii
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from generated.problems import Reason
from services.runtime.core.errors import ApiError

PAYLOAD_HEADER = "x-jwt-payload"
"""Header with the base64url payload of the verified token. The sidecar sets it and removes it from client requests."""

current_token: ContextVar[str | None] = ContextVar("current_token", default=None)
"""Bearer token of the caller; stubs forward it to methods that act on behalf of a user."""


class _Claims(msgspec.Struct):
    sub: str
    exp: int
    role: str | None = None
    email: str = ""
    email_verified: bool = False


_decode_claims = msgspec.json.Decoder(_Claims).decode


@dataclass(frozen=True, slots=True)
class Principal:
    """A user with a verified token. Without an assigned role, `role` has the value None."""

    user_id: str
    role: str | None
    email: str
    email_verified: bool
    expires_at: datetime
    token: str = field(repr=False, default="")

    @classmethod
    def from_payload(cls, payload: str | bytes, token: str = "") -> "Principal":
        """Parse the payload header.

        Raises ValueError for a malformed header, which only a faulty sidecar sends.
        """
        raw = payload.encode() if isinstance(payload, str) else payload
        try:
            claims = _decode_claims(base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4)))
        except (binascii.Error, msgspec.MsgspecError) as error:
            raise ValueError("malformed payload header from the sidecar") from error
        return cls(
            user_id=claims.sub,
            role=claims.role,
            email=claims.email,
            email_verified=claims.email_verified,
            expires_at=datetime.fromtimestamp(claims.exp, UTC),
            token=token,
        )


def require_role(principal: Principal, role: str) -> None:
    """Require a role. Defence in depth: the edge checks roles too, but not for direct gRPC calls.

    Raises ApiError: FORBIDDEN.
    """
    if principal.role != role:
        raise ApiError(Reason.FORBIDDEN)
