"""Login rate limiter: failed attempts, counted in Memcached per account and address, per account, and per address."""

import hashlib
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple, override

from generated.problems import Reason
from services.gateway.usecases.ports import LoginRateLimiter
from services.runtime.core.errors import ApiError
from services.runtime.storage.memcached import CacheClient, Memcached, MemcachedServer

TIMEOUT_S = 0.5
MAX_CONNECTIONS = 16

COUNTED_REASONS = frozenset({Reason.CREDENTIALS_INVALID, Reason.CODE_INVALID, Reason.PASSWORD_WRONG})
"""Errors that count as failed attempts; an unavailable identity provider does not."""


class FailedAttemptLimits(NamedTuple):
    """Maximum number of failed attempts in a window."""

    per_account_and_address: int = 10
    per_account: int = 100
    per_address: int = 300
    window_s: int = 900


class MemcachedLoginRateLimiter(LoginRateLimiter):
    """Fixed-window counters; the window starts with the first failed attempt.

    Fails closed: without Memcached the number of attempts would be unlimited, so `limit` raises UPSTREAM_UNAVAILABLE.
    """

    def __init__(self, server: MemcachedServer, limits: FailedAttemptLimits) -> None:
        self._memcached = Memcached(
            server,
            collection="failed_attempts",
            description="rate limiter",
            timeout_s=TIMEOUT_S,
            max_connections=MAX_CONNECTIONS,
        )
        self._limits = limits

    def close(self) -> None:
        """Close every connection."""
        self._memcached.close()

    @override
    @asynccontextmanager
    async def limit(self, account: str | None, client_address: str) -> AsyncIterator[None]:
        """Count the attempt of the block as failed unless it succeeds.

        The counters are incremented before the attempt, so that concurrent attempts are all counted, and decremented
        unless it fails.

        Raises ApiError: TOO_MANY_REQUESTS, UPSTREAM_UNAVAILABLE.
        """
        limits_by_key = self._get_limits_by_key(account, client_address)
        await self._memcached.execute_sequence("incr", lambda client: self._increment(client, limits_by_key))
        try:
            yield
        except ApiError as error:
            if error.reason not in COUNTED_REASONS:
                await self._memcached.execute_sequence("decr", lambda client: _decrement(client, limits_by_key))
            raise
        await self._memcached.execute_sequence("decr", lambda client: _decrement(client, limits_by_key))

    def _get_limits_by_key(self, account: str | None, client_address: str) -> dict[str, int]:
        """Return the limit by counter key. Keys are digests, so that the cache contains no addresses."""
        limits_by_key = {_build_counter_key("address", client_address): self._limits.per_address}
        if account is not None:
            limits_by_key[_build_counter_key("account", account)] = self._limits.per_account
            limits_by_key[_build_counter_key("pair", f"{account} {client_address}")] = (
                self._limits.per_account_and_address
            )
        return limits_by_key

    def _increment(self, client: CacheClient, limits_by_key: dict[str, int]) -> None:
        incremented_keys = []
        for key, limit in limits_by_key.items():
            incremented_keys.append(key)
            if self._increment_counter(client, key) > limit:
                _decrement(client, incremented_keys)
                raise ApiError(Reason.TOO_MANY_REQUESTS, retry_after=self._compute_seconds_until_reset(client, key))

    def _increment_counter(self, client: CacheClient, key: str) -> int:
        count = client.incr(key, 1)
        if count is None:
            window_s = self._limits.window_s
            if client.add(key, b"1", expire=window_s):
                client.set(f"{key}.end", str(int(time.time()) + window_s), expire=window_s)
                return 1
            count = client.incr(key, 1)
        return int(count or 1)

    def _compute_seconds_until_reset(self, client: CacheClient, key: str) -> int:
        window_end = client.get(f"{key}.end")
        return self._limits.window_s if window_end is None else max(1, int(window_end) - int(time.time()))


def _decrement(client: CacheClient, keys: Iterable[str]) -> None:
    for key in keys:
        client.decr(key, 1)


def _build_counter_key(kind: str, subject: str) -> str:
    return f"failed_attempts:{kind}:{hashlib.sha256(subject.encode()).hexdigest()}"
