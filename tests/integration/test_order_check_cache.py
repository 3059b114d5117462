"""Order check cache with a real Memcached behind a fault-injecting proxy."""

import asyncio
import secrets
import threading
import time

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.adapters.order_check_cache import TIMEOUT_S, MemcachedOrderCheckCache
from services.runtime.core.errors import ApiError
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.servers import Servers

BASKET = CheckedBasket(total_amount=1700, currency="USD", bank_id="visa")


async def assert_unavailable(cache: MemcachedOrderCheckCache) -> None:
    with pytest.raises(ApiError) as error:
        await cache.put("one", "ada", BASKET)
    assert error.value.reason is Reason.UPSTREAM_UNAVAILABLE


async def measure_event_loop_delay(cache: MemcachedOrderCheckCache) -> float:
    """Return the longest delay of the event loop, in seconds, during a call of the unavailable cache."""
    longest_s, done = 0.0, asyncio.Event()

    async def measure() -> None:
        nonlocal longest_s
        while not done.is_set():
            started = time.monotonic()
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.monotonic() - started)

    measurement = asyncio.create_task(measure())
    await assert_unavailable(cache)
    done.set()
    await measurement
    return longest_s


async def test_check_is_owner_only_and_outage_is_not_a_miss(servers: Servers) -> None:
    host, _, port = servers.settings("gateway")["CACHE_ADDRESS"].rpartition(":")
    with FaultProxy(host, int(port)) as proxy:
        cache = MemcachedOrderCheckCache(f"127.0.0.1:{proxy.port}")
        check_id = secrets.token_urlsafe()
        await cache.put(check_id, "ada", BASKET)
        assert await cache.get(check_id, "ada") == BASKET
        assert await cache.get(check_id, "grace") is None
        assert await cache.get("unknown", "ada") is None
        for fault in (Fault.DOWN, Fault.UNRESPONSIVE, Fault.INVALID_RESPONSE, Fault.DROP_RESPONSE):
            proxy.set_fault(fault)
            await assert_unavailable(cache)
        proxy.set_fault(Fault.NONE)
        assert await cache.get(check_id, "ada") == BASKET
        cache.close()


async def test_slow_cache_blocks_event_loop_at_most_once(servers: Servers) -> None:
    host, _, port = servers.settings("gateway")["CACHE_ADDRESS"].rpartition(":")
    with FaultProxy(host, int(port)) as proxy:
        cache = MemcachedOrderCheckCache(f"127.0.0.1:{proxy.port}")
        for _ in range(3):
            await cache.put("one", "ada", BASKET)
        proxy.set_fault(Fault.UNRESPONSIVE)
        await assert_unavailable(cache)
        assert await measure_event_loop_delay(cache) < TIMEOUT_S / 2
        cache.close()


async def test_fast_cache_is_called_on_event_loop(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = MemcachedOrderCheckCache(servers.settings("gateway")["CACHE_ADDRESS"])
    await cache.put("one", "ada", BASKET)
    calling_threads: list[threading.Thread] = []
    get = cache._client.get

    def get_recorded(key: str) -> object:
        calling_threads.append(threading.current_thread())
        return get(key)

    monkeypatch.setattr(cache._client, "get", get_recorded)
    while threading.main_thread() not in calling_threads:
        assert len(calling_threads) < 100, "no call was fast"
        assert await cache.get("one", "ada") == BASKET
    cache.close()
