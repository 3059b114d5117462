"""Who is asking, as the sidecar has verified it."""

import base64
import binascii
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

PAYLOAD_HEADER = "x-jwt-payload"
"""Where the sidecar puts the verified token's payload, base64url; clients cannot send it."""

current_token: ContextVar[str | None] = ContextVar("current_token", default=None)
"""The caller's bearer token, forwarded by stubs to methods that act on behalf of a user."""


class _Claims(msgspec.Struct):
    sub: str
    exp: int
    role: str | None = None
    email: str = ""
    email_verified: bool = False


_decode_claims = msgspec.json.Decoder(_Claims).decode


@dataclass(frozen=True, slots=True)
class Principal:
    """A user with a verified token. `role` is None until one is given."""

    user_id: str
    role: str | None
    email: str
    email_verified: bool
    expires_at: datetime
    token: str = field(repr=False, default="")

    @classmethod
    def from_payload(cls, payload: str | bytes, token: str = "") -> "Principal":
        """Reads the payload header. Raises ValueError when it is none, which only a broken sidecar sends."""
        raw = payload.encode() if isinstance(payload, str) else payload
        try:
            claims = _decode_claims(base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4)))
        except (binascii.Error, msgspec.MsgspecError) as error:
            raise ValueError("the sidecar's payload header cannot be read") from error
        return cls(
            user_id=claims.sub,
            role=claims.role,
            email=claims.email,
            email_verified=claims.email_verified,
            expires_at=datetime.fromtimestamp(claims.exp, UTC),
            token=token,
        )
