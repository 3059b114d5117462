"""Checked orders in Memcached: each rests there for ten minutes, and belongs to the customer who checked it."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import msgspec
from pymemcache.client.base import PooledClient
from pymemcache.exceptions import MemcacheError

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.runtime import tracing
from services.runtime.codec import codec
from services.runtime.refusal import Refusal

LIFE = timedelta(minutes=10)

PATIENCE_S = 0.25
"""How long the cache may take, once to connect and once to answer."""

SLOW_S = 0.005
"""A call that takes longer is for a thread: the loop has others to serve."""


class Checks:
    """The client blocks. A cache that is well answers sooner than a thread begins, so it is asked in place; once an
    answer was slow or none came, threads ask until one is quick again.

    Unlike a miss, a cache that is away refuses UPSTREAM_UNAVAILABLE.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._client = PooledClient(
            (host, int(port)),
            max_pool_size=64,  # more than threads can ask at once
            connect_timeout=PATIENCE_S,
            timeout=PATIENCE_S,
            no_delay=True,
            default_noreply=False,
        )
        self._quick = False

    def close(self) -> None:
        """Closes every connection."""
        self._client.close()

    async def put(self, check_id: str, user_id: str, basket: CheckedBasket) -> None:
        """Keeps a check."""
        value = msgspec.msgpack.encode((user_id, codec().encode(basket)))
        seconds = int(LIFE.total_seconds())
        if not await self._ask("set", lambda: self._client.set(_key(check_id), value, expire=seconds)):
            raise _away()

    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        """The check, if it is there and the user's."""
        value = await self._ask("get", lambda: self._client.get(_key(check_id)))
        if value is None:
            return None
        owner, basket = msgspec.msgpack.decode(value, type=tuple[str, bytes])
        return codec().decode(CheckedBasket, basket) if owner == user_id else None

    async def _ask[T](self, what: str, call: Callable[[], T]) -> T:
        about = {"db.system.name": "memcached", "db.operation.name": what, "db.collection.name": "check"}
        try:
            with tracing.child(f"{what} check", attributes=about):
                return self._timed(call) if self._quick else await asyncio.to_thread(self._timed, call)
        except (MemcacheError, OSError) as error:
            raise _away() from error

    def _timed[T](self, call: Callable[[], T]) -> T:
        began, self._quick = time.monotonic(), False
        found = call()
        self._quick = time.monotonic() - began < SLOW_S
        return found


def _key(check_id: str) -> str:
    return f"check:{check_id}"


def _away() -> Refusal:
    return Refusal(Reason.UPSTREAM_UNAVAILABLE, "The cache is away.", retry_after=2)
