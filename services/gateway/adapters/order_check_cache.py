"""Order check cache in Memcached; a check is readable only by the customer that made it.

Entries contain contact data, and every client of Memcached with credentials can read them and write entries of its own.
They are therefore encrypted and authenticated (AES-256-GCM), each with a key that is derived from the id of its check.
"""

import hmac
import logging
import secrets
from collections.abc import Sequence
from typing import override

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.usecases.order_checks import CHECK_TTL, OrderCheckCache
from services.runtime.rpc.codec import get_codec
from services.runtime.storage.memcached import Memcached, MemcachedServer

log = logging.getLogger(__name__)

NONCE_BYTES = 12
TIMEOUT_S = 0.25
MAX_CONNECTIONS = 64
"""More than the default executor has threads."""


class MemcachedOrderCheckCache(OrderCheckCache):
    """Cache of order checks for CHECK_TTL. The first key encrypts, all of them decrypt."""

    def __init__(self, server: MemcachedServer, keys: Sequence[bytes]) -> None:
        self._key_derivations = [hmac.new(key, digestmod="sha256") for key in keys]
        """HMAC states by key, of which a copy is faster than a new one."""
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
        value = _encrypt(self._key_derivations[0], key, content)
        ttl_s = int(CHECK_TTL.total_seconds())
        if not await self._memcached.execute("set", lambda client: client.set(key, value, expire=ttl_s)):
            raise self._memcached.create_unavailable_error()

    @override
    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        key = _build_cache_key(check_id)
        value = await self._memcached.execute("get", lambda client: client.get(key))
        if value is None:
            return None
        contents = (_decrypt(each, key, value) for each in self._key_derivations)
        content = next(filter(None, contents), None)
        if content is None:
            log.warning("order check not decrypted: forged, or encrypted with a removed key; ignoring it")
            return None
        owner, basket = msgspec.msgpack.decode(content, type=tuple[str, bytes])
        return get_codec().decode(CheckedBasket, basket) if owner == user_id else None


def _build_cache_key(check_id: str) -> str:
    return f"check:{check_id}"


def _encrypt(key_derivation: hmac.HMAC, key: str, content: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _create_cipher(key_derivation, key).encrypt(nonce, content, None)


def _decrypt(key_derivation: hmac.HMAC, key: str, value: bytes) -> bytes | None:
    """Return the content of an entry, or None if it was not encrypted for this key."""
    if len(value) < NONCE_BYTES:
        return None
    try:
        return _create_cipher(key_derivation, key).decrypt(value[:NONCE_BYTES], value[NONCE_BYTES:], None)
    except InvalidTag:
        return None


def _create_cipher(key_derivation: hmac.HMAC, key: str) -> AESGCM:
    derivation = key_derivation.copy()
    derivation.update(key.encode())
    return AESGCM(derivation.digest())
