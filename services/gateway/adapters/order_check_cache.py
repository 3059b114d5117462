"""Order check cache in Memcached; a check is readable only by the customer that made it."""

from typing import override

import msgspec

from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.usecases.order_checks import CHECK_TTL, OrderCheckCache
from services.runtime.rpc.codec import get_codec
from services.runtime.storage.memcached import Memcached

TIMEOUT_S = 0.25
MAX_CONNECTIONS = 64
"""More than the default executor has threads."""


class MemcachedOrderCheckCache(OrderCheckCache):
    """Cache of order checks for CHECK_TTL."""

    def __init__(self, address: str) -> None:
        self._memcached = Memcached(
            address,
            collection="check",
            description="order check cache",
            timeout_s=TIMEOUT_S,
            max_connections=MAX_CONNECTIONS,
        )

    def close(self) -> None:
        """Close every connection."""
        self._memcached.close()

    @override
    async def put(self, check_id: str, user_id: str, basket: CheckedBasket) -> None:
        key, value = _build_cache_key(check_id), msgspec.msgpack.encode((user_id, get_codec().encode(basket)))
        ttl_s = int(CHECK_TTL.total_seconds())
        if not await self._memcached.execute("set", lambda client: client.set(key, value, expire=ttl_s)):
            raise self._memcached.create_unavailable_error()

    @override
    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        value = await self._memcached.execute("get", lambda client: client.get(_build_cache_key(check_id)))
        if value is None:
            return None
        owner, basket = msgspec.msgpack.decode(value, type=tuple[str, bytes])
        return get_codec().decode(CheckedBasket, basket) if owner == user_id else None


def _build_cache_key(check_id: str) -> str:
    return f"check:{check_id}"
