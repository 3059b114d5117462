"""Authenticated user of a request, verified by the sidecar, and the check for revoked tokens."""

import asyncio
import base64
import binascii
import json
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Protocol

import msgspec

from generated.problems import Reason
from services.runtime.core.errors import ApiError

PAYLOAD_HEADER = "x-jwt-payload"
"""Header with the base64url payload of the verified token. The sidecar sets it and removes it from client requests."""

current_token: ContextVar[str | None] = ContextVar("current_token", default=None)
"""Bearer token of the caller; stubs forward it to methods that act on behalf of a user."""


EPOCH = datetime.fromtimestamp(0, UTC)

_Subject = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Time = Annotated[int, msgspec.Meta(ge=0, le=253402300799)]
"""Seconds since 1970, until the last second of the year 9999."""


class _Claims(msgspec.Struct):
    sub: _Subject
    exp: _Time
    iat: _Time = 0
    auth_time: _Time = 0
    role: str | None = None
    email: Annotated[str, msgspec.Meta(max_length=320)] = ""
    email_verified: bool = False


MAX_CACHED_PRINCIPALS = 512
"""Maximum number of tokens whose claims are cached, as clients send the same token for an hour."""

_decode_claims = msgspec.json.Decoder(_Claims).decode
_MALFORMED = "malformed payload header from the sidecar"


def _is_json(raw: bytes) -> bool:
    """Return whether the payload conforms to the grammar of JSON, which allows unpaired surrogates in strings."""
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Principal:
    """A user with a verified token. Without an assigned role, `role` has the value None.

    `issued_at` is the time of the token, `authenticated_at` that of the sign-in; both are whole seconds.
    """

    user_id: str
    role: str | None
    email: str
    email_verified: bool
    expires_at: datetime
    token: str = field(repr=False, default="")
    issued_at: datetime = EPOCH
    authenticated_at: datetime = EPOCH

    @classmethod
    def from_payload(cls, payload: str | bytes, token: str = "") -> "Principal":
        """Parse the payload header.

        Raises ApiError: UNAUTHENTICATED for claims with other types, ranges or characters than the identity
        provider's. Raises ValueError for a malformed header, which only a faulty sidecar sends.
        """
        return _parse_principal(payload.encode() if isinstance(payload, str) else payload, token)


@lru_cache(MAX_CACHED_PRINCIPALS)
def _parse_principal(payload: bytes, token: str) -> Principal:
    """Parse the payload header. Errors are not cached."""
    try:
        raw = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except binascii.Error as error:
        raise ValueError(_MALFORMED) from error
    try:
        claims = _decode_claims(raw)
    except msgspec.ValidationError as error:
        raise ApiError(Reason.UNAUTHENTICATED) from error
    except msgspec.DecodeError as error:
        if _is_json(raw):
            raise ApiError(Reason.UNAUTHENTICATED) from error
        raise ValueError(_MALFORMED) from error
    return Principal(
        user_id=claims.sub,
        role=claims.role,
        email=claims.email,
        email_verified=claims.email_verified,
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
        token=token,
        issued_at=datetime.fromtimestamp(claims.iat, UTC),
        authenticated_at=datetime.fromtimestamp(claims.auth_time, UTC),
    )


def require_role(principal: Principal, role: str) -> None:
    """Require a role. Defence in depth: the edge checks roles too, but not for direct gRPC calls.

    Raises ApiError: FORBIDDEN.
    """
    if principal.role != role:
        raise ApiError(Reason.FORBIDDEN)


class TokenRevocations(Protocol):
    """Revocations of access tokens, in memory. The sidecar does not know them."""

    async def require_valid(self, principal: Principal) -> None:
        """Raise an error for a revoked token. Raises ApiError: TOKEN_REVOKED, UPSTREAM_UNAVAILABLE."""

    def watch(self, principal: Principal) -> AbstractContextManager[asyncio.Future[None]]:
        """Return a future that is done when the token is revoked."""
