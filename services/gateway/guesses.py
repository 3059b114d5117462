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
from services.runtime import tracing
from services.runtime.refusal import Refusal

FAILURES = frozenset({Reason.CREDENTIALS_INVALID, Reason.CODE_INVALID, Reason.PASSWORD_WRONG})
"""What counts. A provider that is away is nobody's guess."""


class Limits(NamedTuple):
    """Failures within the window, in seconds, until it is enough."""

    pair: int = 10
    account: int = 100
    address: int = 300
    window_s: int = 900


def client_address(forwarded_for: str, trusted_hops: int) -> str:
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


class MemcachedGuesses:
    """The window begins with the first failure. Without Memcached nobody signs in: guessing would be free."""

    def __init__(self, address: str, limits: Limits) -> None:
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
    async def attempt(self, account: str | None, address: str) -> AsyncIterator[None]:
        """Counts the attempt before it is made, so that many at once are many, and takes it back unless it fails."""
        counters = self._counters(account, address)
        await self._in_thread("incr", self._enter, counters)
        try:
            yield
        except Refusal as refusal:
            if refusal.reason not in FAILURES:
                await self._in_thread("decr", self._take_back, counters)
            raise
        await self._in_thread("decr", self._take_back, counters)

    def _counters(self, account: str | None, address: str) -> dict[str, int]:
        """By key, how many there may be. Keys are digests: the cache learns no addresses."""
        counters = {_key("address", address): self._limits.address}
        if account is not None:
            counters[_key("account", account)] = self._limits.account
            counters[_key("pair", f"{account} {address}")] = self._limits.pair
        return counters

    def _enter(self, counters: dict[str, int]) -> None:
        counted = []
        for key, limit in counters.items():
            counted.append(key)
            if self._count(key) > limit:
                self._take_back(dict.fromkeys(counted, 0))
                raise Refusal(Reason.TOO_MANY_REQUESTS, retry_after=self._remaining(key))

    def _count(self, key: str) -> int:
        number = self._client.incr(key, 1)
        if number is None:
            window = self._limits.window_s
            if self._client.add(key, b"1", expire=window):
                self._client.set(f"{key}.end", str(int(time.time()) + window), expire=window)
                return 1
            number = self._client.incr(key, 1)
        return int(number or 1)

    def _take_back(self, counters: dict[str, int]) -> None:
        for key in counters:
            self._client.decr(key, 1)

    def _remaining(self, key: str) -> int:
        end = self._client.get(f"{key}.end")
        return self._limits.window_s if end is None else max(1, int(end) - int(time.time()))

    async def _in_thread(self, what: str, call: Callable[[dict[str, int]], None], counters: dict[str, int]) -> None:
        about = {"db.system.name": "memcached", "db.operation.name": what, "db.collection.name": "guess"}
        try:
            with tracing.child(f"{what} guess", attributes=about):
                await asyncio.to_thread(call, counters)
        except (MemcacheError, OSError) as error:
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "The cache is away.", retry_after=2) from error


def _key(kind: str, of: str) -> str:
    return f"guess:{kind}:{hashlib.sha256(of.encode()).hexdigest()}"
