"""Checked orders in a real Memcached, through a proxy that fails in every way."""

import asyncio
import secrets
import threading
import time

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.adapters.order_check_cache import TIMEOUT_S, OrderCheckCache
from services.runtime.core.errors import ApiError
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.servers import Servers

BASKET = CheckedBasket(total_amount=1700, currency="USD", bank_id="visa")


async def refused(checks: OrderCheckCache) -> None:
    with pytest.raises(ApiError) as refusal:
        await checks.put("one", "ada", BASKET)
    assert refusal.value.reason is Reason.UPSTREAM_UNAVAILABLE


async def longest_wait(checks: OrderCheckCache) -> float:
    """How long everybody else waits for the loop while the cache is asked."""
    longest, over = 0.0, asyncio.Event()

    async def others() -> None:
        nonlocal longest
        while not over.is_set():
            began = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - began)

    beside = asyncio.create_task(others())
    await refused(checks)
    over.set()
    await beside
    return longest


async def test_a_check_is_its_customers_and_a_cache_that_is_away_is_no_miss(servers: Servers) -> None:
    host, _, port = servers.settings("gateway")["CACHE_ADDRESS"].rpartition(":")
    with FaultProxy(host, int(port)) as proxy:
        checks = OrderCheckCache(f"127.0.0.1:{proxy.port}")
        check = secrets.token_urlsafe()
        await checks.put(check, "ada", BASKET)
        assert await checks.get(check, "ada") == BASKET
        assert await checks.get(check, "grace") is None
        assert await checks.get("never-made", "ada") is None
        for fault in (Fault.DOWN, Fault.UNRESPONSIVE, Fault.INVALID_RESPONSE, Fault.DROP_RESPONSE):
            proxy.set_fault(fault)
            await refused(checks)
        proxy.set_fault(Fault.NONE)
        assert await checks.get(check, "ada") == BASKET
        checks.close()


async def test_a_cache_that_hangs_holds_up_the_loop_once_at_most(servers: Servers) -> None:
    host, _, port = servers.settings("gateway")["CACHE_ADDRESS"].rpartition(":")
    with FaultProxy(host, int(port)) as proxy:
        checks = OrderCheckCache(f"127.0.0.1:{proxy.port}")
        for _ in range(3):
            await checks.put("one", "ada", BASKET)
        proxy.set_fault(Fault.UNRESPONSIVE)
        await refused(checks)
        assert await longest_wait(checks) < TIMEOUT_S / 2
        checks.close()


async def test_a_cache_that_is_well_is_asked_without_a_thread(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = OrderCheckCache(servers.settings("gateway")["CACHE_ADDRESS"])
    await checks.put("one", "ada", BASKET)
    asked_in: list[threading.Thread] = []
    get = checks._client.get

    def watched(key: str) -> object:
        asked_in.append(threading.current_thread())
        return get(key)

    monkeypatch.setattr(checks._client, "get", watched)
    while threading.main_thread() not in asked_in:
        assert len(asked_in) < 100, "it was never quick"
        assert await checks.get("one", "ada") == BASKET
    checks.close()
