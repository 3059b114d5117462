"""Checked orders in Memcached: each rests there for ten minutes, and belongs to the customer who checked it."""

import asyncio
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


class Checks:
    """The client blocks, so it runs in threads. Unlike a miss, a cache that is away refuses UPSTREAM_UNAVAILABLE."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._client = PooledClient(
            (host, int(port)), max_pool_size=16, connect_timeout=0.5, timeout=0.5, no_delay=True, default_noreply=False
        )

    def close(self) -> None:
        """Closes every connection."""
        self._client.close()

    async def put(self, check_id: str, user_id: str, basket: CheckedBasket) -> None:
        """Keeps a check."""
        value = msgspec.msgpack.encode((user_id, codec().encode(basket)))
        seconds = int(LIFE.total_seconds())
        if not await _in_thread("set", lambda: self._client.set(_key(check_id), value, expire=seconds)):
            raise _away()

    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        """The check, if it is there and the user's."""
        value = await _in_thread("get", lambda: self._client.get(_key(check_id)))
        if value is None:
            return None
        owner, basket = msgspec.msgpack.decode(value, type=tuple[str, bytes])
        return codec().decode(CheckedBasket, basket) if owner == user_id else None


def _key(check_id: str) -> str:
    return f"check:{check_id}"


async def _in_thread[T](what: str, call: Callable[[], T]) -> T:
    about = {"db.system.name": "memcached", "db.operation.name": what, "db.collection.name": "check"}
    try:
        with tracing.child(f"{what} check", attributes=about):
            return await asyncio.to_thread(call)
    except (MemcacheError, OSError) as error:
        raise _away() from error


def _away() -> Refusal:
    return Refusal(Reason.UPSTREAM_UNAVAILABLE, "The cache is away.", retry_after=2)
