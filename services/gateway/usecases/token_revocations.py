"""Revocation of access tokens: all tokens of a user that were issued until a time are rejected until they expire."""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from generated.problems import Reason
from services.gateway.domain.accounts import SessionTokens
from services.gateway.usecases.ports import IdentityProvider
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal

MAX_TOKEN_LIFETIME = timedelta(hours=1, minutes=5)
"""Lifetime of the identity provider's access tokens, and a tolerance for differing clocks."""

TOKEN_TIME_RESOLUTION = timedelta(seconds=1)
"""Resolution of a token's time of issue."""

MAX_AGE_S = 1.0
"""Maximum age of the revocations in memory with which a token is accepted."""

IN_USE_S = 5.0
"""Time after a request in which the revocations are confirmed periodically."""

MAX_WAIT_S = 1.0
"""Maximum time that a request waits for newer revocations."""


class TokenRevocation(NamedTuple):
    """Revocation of the user's tokens that were issued until `revoked_at`."""

    user_id: str
    revoked_at: datetime


class RevokedTokens:
    """Revocations in memory, so that a request needs no query.

    Their age is the time since they were confirmed to be complete. It exceeds MAX_AGE_S before they have been loaded,
    and while this process cannot reach the database, in which another process may store a revocation. Without requests
    or watchers they are not confirmed, and the next request waits for a confirmation.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used_at = self._confirmed_at = -math.inf
        self.on_use: Callable[[], None] | None = None
        """Called at the first use after they have not been in use."""
        self._confirmed = asyncio.Event()
        self._revoked_at: dict[str, datetime] = {}
        self._watchers: defaultdict[str, list[tuple[datetime, asyncio.Future[None]]]] = defaultdict(list)

    def load(self, revocations: Iterable[TokenRevocation]) -> None:
        """Add all stored revocations and remove those whose tokens have expired."""
        for revocation in revocations:
            self.add(revocation)
        expired_before = self._clock() - MAX_TOKEN_LIFETIME
        self._revoked_at = {user_id: at for user_id, at in self._revoked_at.items() if at >= expired_before}

    def confirm(self, at: float) -> None:
        """Record that the revocations were complete at a time of the monotonic clock."""
        self._confirmed_at = at
        self._confirmed.set()

    def add(self, revocation: TokenRevocation) -> None:
        """Add a revocation and notify watchers. An earlier one than the current one of the user has no effect."""
        current = self._revoked_at.get(revocation.user_id)
        if current is not None and current >= revocation.revoked_at:
            return
        self._revoked_at[revocation.user_id] = revocation.revoked_at
        for issued_at, revoked in self._watchers.get(revocation.user_id, ()):
            if issued_at <= revocation.revoked_at and not revoked.done():
                revoked.set_result(None)

    def find_revocation(self, user_id: str, issued_at: datetime) -> datetime | None:
        """Return the time of the revocation that applies to a token, or None."""
        revoked_at = self._revoked_at.get(user_id)
        return revoked_at if revoked_at is not None and issued_at <= revoked_at else None

    async def require_valid(self, principal: Principal) -> None:
        """Raise an error for a revoked token.

        Raises ApiError: TOKEN_REVOKED, or UPSTREAM_UNAVAILABLE while recent revocations may be missing.
        """
        self._record_use()
        if not self._is_recent():
            await self._wait_until_recent()
        if self.find_revocation(principal.user_id, principal.issued_at) is not None:
            raise ApiError(Reason.TOKEN_REVOKED)

    @property
    def is_in_use(self) -> bool:
        """Return whether there are recent requests, or watchers."""
        return bool(self._watchers) or time.monotonic() - self._used_at <= IN_USE_S

    def _record_use(self) -> None:
        if not self.is_in_use and self.on_use is not None:
            self.on_use()
        self._used_at = time.monotonic()

    def _is_recent(self) -> bool:
        return time.monotonic() - self._confirmed_at <= MAX_AGE_S

    async def _wait_until_recent(self) -> None:
        try:
            async with asyncio.timeout(MAX_WAIT_S):
                while not self._is_recent():
                    self._confirmed.clear()
                    await self._confirmed.wait()
        except TimeoutError as error:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "Token revocations cannot be loaded.", retry_after=1) from error

    @contextmanager
    def watch(self, principal: Principal) -> Iterator[asyncio.Future[None]]:
        """Yield a future that is done when the token is revoked."""
        self._record_use()
        revoked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (principal.issued_at, revoked)
        if self.find_revocation(principal.user_id, principal.issued_at) is not None:
            revoked.set_result(None)
        watchers = self._watchers[principal.user_id]
        watchers.append(entry)
        try:
            yield revoked
        finally:
            watchers.remove(entry)
            if not watchers:
                self._watchers.pop(principal.user_id, None)

    async def replace_revoked(self, identity: IdentityProvider, tokens: SessionTokens) -> SessionTokens:
        """Return the tokens of a session that has just been created or refreshed, with a valid access token.

        A token's time of issue is in whole seconds. A token that was issued in the second of a revocation counts as
        older than that, and is refreshed in the next second.

        Raises ApiError: REFRESH_TOKEN_INVALID.
        """
        revoked_at = self.find_revocation(tokens.user_id, tokens.issued_at)
        if revoked_at is None:
            return tokens
        delay = revoked_at.replace(microsecond=0) + TOKEN_TIME_RESOLUTION - self._clock()
        if delay > TOKEN_TIME_RESOLUTION:
            return tokens
        await asyncio.sleep(max(0.0, delay.total_seconds()))
        return await identity.refresh_session(tokens.refresh_token)
