"""Checked orders in a real Memcached, through a proxy that fails in every way."""

import asyncio
import secrets
import threading
import time

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.cache import PATIENCE_S, Checks
from services.runtime.refusal import Refusal
from tests.integration.servers import Servers
from tests.proxy import Fault, Proxy

BASKET = CheckedBasket(total_amount=1700, currency="USD", bank_id="visa")


async def refused(checks: Checks) -> None:
    with pytest.raises(Refusal) as refusal:
        await checks.put("one", "ada", BASKET)
    assert refusal.value.reason is Reason.UPSTREAM_UNAVAILABLE


async def longest_wait(checks: Checks) -> float:
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
    with Proxy(host, int(port)) as proxy:
        checks = Checks(f"127.0.0.1:{proxy.port}")
        check = secrets.token_urlsafe()
        await checks.put(check, "ada", BASKET)
        assert await checks.get(check, "ada") == BASKET
        assert await checks.get(check, "grace") is None
        assert await checks.get("never-made", "ada") is None
        for fault in (Fault.DOWN, Fault.SLOW, Fault.LYING, Fault.LOSING):
            proxy.set(fault)
            await refused(checks)
        proxy.set(Fault.NONE)
        assert await checks.get(check, "ada") == BASKET
        checks.close()


async def test_a_cache_that_hangs_holds_up_the_loop_once_at_most(servers: Servers) -> None:
    host, _, port = servers.settings("gateway")["CACHE_ADDRESS"].rpartition(":")
    with Proxy(host, int(port)) as proxy:
        checks = Checks(f"127.0.0.1:{proxy.port}")
        for _ in range(3):
            await checks.put("one", "ada", BASKET)
        proxy.set(Fault.SLOW)
        await refused(checks)
        assert await longest_wait(checks) < PATIENCE_S / 2
        checks.close()


async def test_a_cache_that_is_well_is_asked_without_a_thread(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = Checks(servers.settings("gateway")["CACHE_ADDRESS"])
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
