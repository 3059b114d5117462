"""Order check cache with a real Memcached behind a fault-injecting proxy."""

import secrets

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.adapters.order_check_cache import MemcachedOrderCheckCache
from services.runtime.core.errors import ApiError
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.servers import Servers

BASKET = CheckedBasket(total_amount=1700, currency="USD", bank_id="visa")


async def assert_unavailable(cache: MemcachedOrderCheckCache) -> None:
    with pytest.raises(ApiError) as error:
        await cache.put("one", "ada", BASKET)
    assert error.value.reason is Reason.UPSTREAM_UNAVAILABLE


async def test_check_is_owner_only_and_outage_is_not_a_miss(servers: Servers) -> None:
    host, _, port = servers.memcached.address.rpartition(":")
    with FaultProxy(host, int(port)) as proxy:
        cache = MemcachedOrderCheckCache(servers.memcached._replace(address=f"127.0.0.1:{proxy.port}"), [b"key"])
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
