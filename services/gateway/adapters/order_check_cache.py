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
from services.runtime.core.errors import ApiError
from services.runtime.rpc.codec import get_codec
from services.runtime.telemetry import tracing

CHECK_TTL = timedelta(minutes=10)

TIMEOUT_S = 0.25
"""How long the cache may take, once to connect and once to answer."""

OFFLOAD_THRESHOLD_S = 0.005
"""A call that takes longer is for a thread: the loop has others to serve."""


class OrderCheckCache:
    """The client blocks. A cache that is well answers sooner than a thread begins, so it is asked in place; once an
    answer was slow or none came, threads ask until one is quick again.

    Unlike a miss, a cache that is away refuses UPSTREAM_UNAVAILABLE.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._client = PooledClient(
            (host, int(port)),
            max_pool_size=64,  # more than threads can ask at once
            connect_timeout=TIMEOUT_S,
            timeout=TIMEOUT_S,
            no_delay=True,
            default_noreply=False,
        )
        self._is_fast = False

    def close(self) -> None:
        """Closes every connection."""
        self._client.close()

    async def put(self, check_id: str, user_id: str, basket: CheckedBasket) -> None:
        """Keeps a check."""
        value = msgspec.msgpack.encode((user_id, get_codec().encode(basket)))
        seconds = int(CHECK_TTL.total_seconds())
        if not await self._call("set", lambda: self._client.set(_cache_key(check_id), value, expire=seconds)):
            raise _unavailable()

    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        """The check, if it is there and the user's."""
        value = await self._call("get", lambda: self._client.get(_cache_key(check_id)))
        if value is None:
            return None
        owner, basket = msgspec.msgpack.decode(value, type=tuple[str, bytes])
        return get_codec().decode(CheckedBasket, basket) if owner == user_id else None

    async def _call[T](self, operation: str, call: Callable[[], T]) -> T:
        about = {"db.system.name": "memcached", "db.operation.name": operation, "db.collection.name": "check"}
        try:
            with tracing.start_child_span(f"{operation} check", attributes=about):
                return self._call_timed(call) if self._is_fast else await asyncio.to_thread(self._call_timed, call)
        except (MemcacheError, OSError) as error:
            raise _unavailable() from error

    def _call_timed[T](self, call: Callable[[], T]) -> T:
        began, self._is_fast = time.monotonic(), False
        found = call()
        self._is_fast = time.monotonic() - began < OFFLOAD_THRESHOLD_S
        return found


def _cache_key(check_id: str) -> str:
    return f"check:{check_id}"


def _unavailable() -> ApiError:
    return ApiError(Reason.UPSTREAM_UNAVAILABLE, "The cache is away.", retry_after=2)
