"""Guessing is slowed down: failures are counted in Memcached, by account and address, by account, and by address."""

import asyncio
import hashlib
import ipaddress
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from pymemcache.client.base import PooledClient
from pymemcache.exceptions import MemcacheError

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

COUNTED_REASONS = frozenset({Reason.CREDENTIALS_INVALID, Reason.CODE_INVALID, Reason.PASSWORD_WRONG})
"""What counts. A provider that is away is nobody's guess."""


class FailedAttemptLimits(NamedTuple):
    """Failures within the window, in seconds, until it is enough."""

    per_account_and_address: int = 10
    per_account: int = 100
    per_address: int = 300
    window_s: int = 900


def parse_client_address(forwarded_for: str, trusted_hops: int) -> str:
    """Who asks: the address that the last proxy of ours saw; an IPv6 address as its /64, which is one household's.

    Each proxy appends whom it saw, so what stands further left is only as true as the client.
    """
    seen = [part.strip() for part in forwarded_for.split(",") if part.strip()]
    if not seen:
        return "unknown"
    text = seen[max(0, len(seen) - 1 - trusted_hops)]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class MemcachedLoginRateLimiter:
    """The window begins with the first failure. Without Memcached nobody signs in: guessing would be free."""

    def __init__(self, address: str, limits: FailedAttemptLimits) -> None:
        self.address = address
        host, _, port = address.rpartition(":")
        self._client = PooledClient(
            (host, int(port)), max_pool_size=16, connect_timeout=0.5, timeout=0.5, no_delay=True, default_noreply=False
        )
        self._limits = limits

    def close(self) -> None:
        """Closes every connection."""
        self._client.close()

    @asynccontextmanager
    async def limit(self, account: str | None, client_address: str) -> AsyncIterator[None]:
        """Counts the attempt before it is made, so that many at once are many, and takes it back unless it fails."""
        counters = self._limits_by_key(account, client_address)
        await self._run_in_thread("incr", self._increment, counters)
        try:
            yield
        except ApiError as refusal:
            if refusal.reason not in COUNTED_REASONS:
                await self._run_in_thread("decr", self._decrement, counters)
            raise
        await self._run_in_thread("decr", self._decrement, counters)

    def _limits_by_key(self, account: str | None, client_address: str) -> dict[str, int]:
        """By key, how many there may be. Keys are digests: the cache learns no addresses."""
        counters = {_counter_key("address", client_address): self._limits.per_address}
        if account is not None:
            counters[_counter_key("account", account)] = self._limits.per_account
            counters[_counter_key("pair", f"{account} {client_address}")] = self._limits.per_account_and_address
        return counters

    def _increment(self, counters: dict[str, int]) -> None:
        counted = []
        for key, limit in counters.items():
            counted.append(key)
            if self._increment_counter(key) > limit:
                self._decrement(dict.fromkeys(counted, 0))
                raise ApiError(Reason.TOO_MANY_REQUESTS, retry_after=self._seconds_until_reset(key))

    def _increment_counter(self, key: str) -> int:
        number = self._client.incr(key, 1)
        if number is None:
            window = self._limits.window_s
            if self._client.add(key, b"1", expire=window):
                self._client.set(f"{key}.end", str(int(time.time()) + window), expire=window)
                return 1
            number = self._client.incr(key, 1)
        return int(number or 1)

    def _decrement(self, counters: dict[str, int]) -> None:
        for key in counters:
            self._client.decr(key, 1)

    def _seconds_until_reset(self, key: str) -> int:
        end = self._client.get(f"{key}.end")
        return self._limits.window_s if end is None else max(1, int(end) - int(time.time()))

    async def _run_in_thread(
        self, operation: str, call: Callable[[dict[str, int]], None], counters: dict[str, int]
    ) -> None:
        about = {"db.system.name": "memcached", "db.operation.name": operation, "db.collection.name": "failed_attempts"}
        try:
            with tracing.start_child_span(f"{operation} failed_attempts", attributes=about):
                await asyncio.to_thread(call, counters)
        except (MemcacheError, OSError) as error:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The cache is away.", retry_after=2) from error


def _counter_key(kind: str, subject: str) -> str:
    return f"failed_attempts:{kind}:{hashlib.sha256(subject.encode()).hexdigest()}"
