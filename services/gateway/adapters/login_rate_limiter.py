"""Login rate limiter: failed attempts, counted in Memcached per account and address, per account, and per address."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from pymemcache.client.base import PooledClient
from pymemcache.exceptions import MemcacheError

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

COUNTED_REASONS = frozenset({Reason.CREDENTIALS_INVALID, Reason.CODE_INVALID, Reason.PASSWORD_WRONG})
"""Errors that count as failed attempts; an unavailable identity provider does not."""


class FailedAttemptLimits(NamedTuple):
    """Maximum number of failed attempts in a window."""

    per_account_and_address: int = 10
    per_account: int = 100
    per_address: int = 300
    window_s: int = 900


class MemcachedLoginRateLimiter:
    """Fixed-window counters; the window starts with the first failed attempt.

    Fails closed: without Memcached the number of attempts would be unlimited, so `limit` raises UPSTREAM_UNAVAILABLE.
    """

    def __init__(self, address: str, limits: FailedAttemptLimits) -> None:
        self.address = address
        host, _, port = address.rpartition(":")
        self._client = PooledClient(
            (host, int(port)), max_pool_size=16, connect_timeout=0.5, timeout=0.5, no_delay=True, default_noreply=False
        )
        self._limits = limits

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    @asynccontextmanager
    async def limit(self, account: str | None, client_address: str) -> AsyncIterator[None]:
        """Count the attempt of the block as failed unless it succeeds.

        The counters are incremented before the attempt, so that concurrent attempts are all counted, and decremented
        unless it fails.

        Raises ApiError: TOO_MANY_REQUESTS, UPSTREAM_UNAVAILABLE.
        """
        limits_by_key = self._limits_by_key(account, client_address)
        await self._run_in_thread("incr", self._increment, limits_by_key)
        try:
            yield
        except ApiError as error:
            if error.reason not in COUNTED_REASONS:
                await self._run_in_thread("decr", self._decrement, limits_by_key)
            raise
        await self._run_in_thread("decr", self._decrement, limits_by_key)

    def _limits_by_key(self, account: str | None, client_address: str) -> dict[str, int]:
        """Return the limit by counter key. Keys are digests, so that the cache contains no addresses."""
        limits_by_key = {_counter_key("address", client_address): self._limits.per_address}
        if account is not None:
            limits_by_key[_counter_key("account", account)] = self._limits.per_account
            limits_by_key[_counter_key("pair", f"{account} {client_address}")] = self._limits.per_account_and_address
        return limits_by_key

    def _increment(self, limits_by_key: dict[str, int]) -> None:
        incremented_keys = []
        for key, limit in limits_by_key.items():
            incremented_keys.append(key)
            if self._increment_counter(key) > limit:
                self._decrement(incremented_keys)
                raise ApiError(Reason.TOO_MANY_REQUESTS, retry_after=self._seconds_until_reset(key))

    def _increment_counter(self, key: str) -> int:
        count = self._client.incr(key, 1)
        if count is None:
            window_s = self._limits.window_s
            if self._client.add(key, b"1", expire=window_s):
                self._client.set(f"{key}.end", str(int(time.time()) + window_s), expire=window_s)
                return 1
            count = self._client.incr(key, 1)
        return int(count or 1)

    def _decrement(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._client.decr(key, 1)

    def _seconds_until_reset(self, key: str) -> int:
        window_end = self._client.get(f"{key}.end")
        return self._limits.window_s if window_end is None else max(1, int(window_end) - int(time.time()))

    async def _run_in_thread(
        self, operation: str, call: Callable[[dict[str, int]], None], limits_by_key: dict[str, int]
    ) -> None:
        attributes = {
            "db.system.name": "memcached",
            "db.operation.name": operation,
            "db.collection.name": "failed_attempts",
        }
        try:
            with tracing.start_child_span(f"{operation} failed_attempts", attributes=attributes):
                await asyncio.to_thread(call, limits_by_key)
        except (MemcacheError, OSError) as error:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The rate limiter is unavailable.", retry_after=2) from error


def _counter_key(kind: str, subject: str) -> str:
    return f"failed_attempts:{kind}:{hashlib.sha256(subject.encode()).hexdigest()}"
