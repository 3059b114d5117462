"""Order check cache in Memcached; a check is readable only by the customer that made it.

Entries are signed with HMAC-SHA256 over the id and the content of the check, since every client of Memcached with
credentials can write entries of its own.
"""

import hmac
import logging
from collections.abc import Sequence
from typing import override

import msgspec

from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.usecases.order_checks import CHECK_TTL, OrderCheckCache
from services.runtime.rpc.codec import get_codec
from services.runtime.storage.memcached import Memcached, MemcachedServer

log = logging.getLogger(__name__)

SIGNATURE_BYTES = 32
TIMEOUT_S = 0.25
MAX_CONNECTIONS = 64
"""More than the default executor has threads."""


class MemcachedOrderCheckCache(OrderCheckCache):
    """Cache of order checks for CHECK_TTL. The first key signs, all of them verify."""

    def __init__(self, server: MemcachedServer, keys: Sequence[bytes]) -> None:
        self._keys = keys
        self._memcached = Memcached(
            server,
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
        key, content = _build_cache_key(check_id), msgspec.msgpack.encode((user_id, get_codec().encode(basket)))
        value = _sign(self._keys[0], key, content) + content
        ttl_s = int(CHECK_TTL.total_seconds())
        if not await self._memcached.execute("set", lambda client: client.set(key, value, expire=ttl_s)):
            raise self._memcached.create_unavailable_error()

    @override
    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        key = _build_cache_key(check_id)
        value = await self._memcached.execute("get", lambda client: client.get(key))
        if value is None:
            return None
        signature, content = value[:SIGNATURE_BYTES], value[SIGNATURE_BYTES:]
        if not any(hmac.compare_digest(signature, _sign(each, key, content)) for each in self._keys):
            log.warning("order check without a valid signature: forged, or signed with a removed key; ignoring it")
            return None
        owner, basket = msgspec.msgpack.decode(content, type=tuple[str, bytes])
        return get_codec().decode(CheckedBasket, basket) if owner == user_id else None


def _build_cache_key(check_id: str) -> str:
    return f"check:{check_id}"


def _sign(signing_key: bytes, key: str, content: bytes) -> bytes:
    return hmac.digest(signing_key, key.encode() + b"\n" + content, "sha256")
