"""Order check cache in Memcached; a check is readable only by the customer that made it."""

import asyncio
import time
from collections.abc import Callable

import msgspec
from pymemcache.client.base import PooledClient
from pymemcache.exceptions import MemcacheError

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.usecases.ports import CHECK_TTL
from services.runtime.core.errors import ApiError
from services.runtime.rpc.codec import get_codec
from services.runtime.telemetry import tracing

TIMEOUT_S = 0.25
"""Timeout of a connection attempt, and of each read and write."""

OFFLOAD_THRESHOLD_S = 0.005
"""Duration of a call above which the next calls run in a thread, so that they do not block the event loop."""


class MemcachedOrderCheckCache:
    """Cache over a blocking client.

    A fast call is cheaper than a thread, so calls run on the event loop. After a slow or failed call they run in
    threads until one is fast again.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._client = PooledClient(
            (host, int(port)),
            max_pool_size=64,  # more than the default executor has threads
            connect_timeout=TIMEOUT_S,
            timeout=TIMEOUT_S,
            no_delay=True,
            default_noreply=False,
        )
        self._is_fast = False

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    async def put(self, check_id: str, user_id: str, basket: CheckedBasket) -> None:
        """Store a check."""
        value = msgspec.msgpack.encode((user_id, get_codec().encode(basket)))
        ttl_s = int(CHECK_TTL.total_seconds())
        if not await self._call("set", lambda: self._client.set(_cache_key(check_id), value, expire=ttl_s)):
            raise _unavailable()

    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        """Return the check; None if it does not exist or belongs to another user."""
        value = await self._call("get", lambda: self._client.get(_cache_key(check_id)))
        if value is None:
            return None
        owner, basket = msgspec.msgpack.decode(value, type=tuple[str, bytes])
        return get_codec().decode(CheckedBasket, basket) if owner == user_id else None

    async def _call[T](self, operation: str, call: Callable[[], T]) -> T:
        attributes = {"db.system.name": "memcached", "db.operation.name": operation, "db.collection.name": "check"}
        try:
            with tracing.start_child_span(f"{operation} check", attributes=attributes):
                return self._call_timed(call) if self._is_fast else await asyncio.to_thread(self._call_timed, call)
        except (MemcacheError, OSError) as error:
            raise _unavailable() from error

    def _call_timed[T](self, call: Callable[[], T]) -> T:
        started, self._is_fast = time.monotonic(), False
        result = call()
        self._is_fast = time.monotonic() - started < OFFLOAD_THRESHOLD_S
        return result


def _cache_key(check_id: str) -> str:
    return f"check:{check_id}"


def _unavailable() -> ApiError:
    return ApiError(Reason.UPSTREAM_UNAVAILABLE, "The order check cache is unavailable.", retry_after=2)
