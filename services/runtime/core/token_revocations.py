"""Check of access tokens against revocations, which the sidecar does not know."""

import asyncio
from contextlib import AbstractContextManager
from typing import Protocol

from services.runtime.core.principal import Principal


class TokenRevocations(Protocol):
    """Revocations of access tokens, in memory."""

    def require_valid(self, principal: Principal) -> None:
        """Raise an error for a revoked token. Raises ApiError: TOKEN_REVOKED, UPSTREAM_UNAVAILABLE."""

    def watch(self, principal: Principal) -> AbstractContextManager[asyncio.Event]:
        """Return an event that is set when the token is revoked."""
