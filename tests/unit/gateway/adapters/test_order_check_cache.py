"""Encryption of order checks in the cache, with a dictionary in place of Memcached's client."""

import logging
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.adapters.order_check_cache import MemcachedOrderCheckCache
from services.runtime.rpc.codec import get_codec
from services.runtime.storage.memcached import Memcached, MemcachedServer

BASKET = CheckedBasket(total_amount=1500, currency="USD", bank_id="visa")
OLD_KEY, KEY = b"old" * 12, b"new" * 12


class FakeMemcached:
    """Entries in a dictionary, which a test may change as an attacker with access to Memcached."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    async def execute(self, _: str, command: Callable[[Any], Any]) -> Any:
        return command(self)

    def set(self, key: str, value: bytes, *, expire: int) -> bool:
        assert expire > 0
        self.entries[key] = value
        return True

    def get(self, key: str) -> bytes | None:
        return self.entries.get(key)


def create_cache(memcached: FakeMemcached, *keys: bytes) -> MemcachedOrderCheckCache:
    cache = MemcachedOrderCheckCache(MemcachedServer("127.0.0.1:1", "gateway", "password"), keys)
    cache._memcached = cast(Memcached, memcached)
    return cache


async def test_check_is_readable_after_key_rotation() -> None:
    memcached = FakeMemcached()
    await create_cache(memcached, OLD_KEY).put("c1", "ada", BASKET)
    for keys in ((KEY, OLD_KEY), (OLD_KEY, KEY)):
        assert await create_cache(memcached, *keys).get("c1", "ada") == BASKET
    assert await create_cache(memcached, KEY, OLD_KEY).get("c1", "eve") is None
    assert await create_cache(memcached, KEY).get("c1", "ada") is None


@pytest.mark.parametrize(
    "forge",
    [
        lambda value: value[:20] + bytes([value[20] ^ 1]) + value[21:],
        lambda value: bytes([value[0] ^ 1]) + value[1:],
        lambda value: value[:-1],
        lambda value: value + b"x",
        lambda value: value[:12],
        lambda _: b"x" * 11,
        lambda _: b"",
        lambda _: msgspec.msgpack.encode(("ada", get_codec().encode(BASKET))),
    ],
    ids=["content", "nonce", "truncated", "extended", "without_content", "short", "empty", "plain"],
)
async def test_forged_check_is_a_miss_and_logged(
    forge: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    memcached = FakeMemcached()
    cache = create_cache(memcached, KEY)
    await cache.put("c1", "ada", BASKET)
    memcached.entries["check:c1"] = forge(memcached.entries["check:c1"])
    with caplog.at_level(logging.WARNING):
        assert await cache.get("c1", "ada") is None
    assert "order check not decrypted" in caplog.text


async def test_entry_does_not_reveal_its_content() -> None:
    memcached = FakeMemcached()
    for check_id in ("c1", "c2"):
        await create_cache(memcached, KEY).put(check_id, "ada-lovelace", BASKET)
    for value in memcached.entries.values():
        assert b"visa" not in value
        assert b"ada-lovelace" not in value
    assert len({*memcached.entries.values()}) == 2


async def test_check_copied_to_another_id_is_a_miss() -> None:
    memcached = FakeMemcached()
    cache = create_cache(memcached, KEY)
    await cache.put("c1", "ada", BASKET)
    memcached.entries["check:c2"] = memcached.entries["check:c1"]
    assert await cache.get("c2", "ada") is None
