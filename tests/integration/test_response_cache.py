"""Cached responses and their invalidation by events through an outbox, relay and broker."""

from urllib.parse import urlsplit

from generated.events import PARTNER_CATALOG_CHANGED
from generated.proto.delivery.partners import v1
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.messaging.connection import Broker
from services.runtime.rest.response_cache import ResponseCache, run_invalidation
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.partners_rpc import ADMIN, create_product
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

KEY = ("/api/v1/catalog", b"")


async def test_cache_requires_subscription_and_is_invalidated_by_event(
    partners: PartnersFixture, partners_rpc: PartnersRpc, servers: Servers
) -> None:
    cache = ResponseCache()
    product = await create_product(partners_rpc)

    async def is_cached_after_put() -> bool:
        cache.put(KEY, b"{}", cache.generation)
        return cache.get(KEY) is not None

    async def is_invalidated() -> bool:
        return cache.get(KEY) is None

    url = servers.settings("gateway")["BROKER_URL"]
    broker = urlsplit(url)
    with FaultProxy(str(broker.hostname), int(broker.port or 0)) as proxy:
        invalidation = run_invalidation(
            Broker(url.replace(f":{broker.port}", f":{proxy.port}"), "gateway"), {PARTNER_CATALOG_CHANGED: cache}
        )
        assert not await is_cached_after_put()
        async with run_in_background(invalidation, partners.create_relay().run()):
            await wait_until_async(is_cached_after_put)
            generation = cache.generation
            await partners_rpc.update_product(v1.UpdateProductRequest(product_id=product, title="Another"), ADMIN)
            await wait_until_async(is_invalidated)
            assert cache.generation > generation

            assert await is_cached_after_put()
            proxy.set_fault(Fault.DOWN)
            await wait_until_async(is_invalidated)
            assert not await is_cached_after_put()
            proxy.set_fault(Fault.NONE)
            await wait_until_async(is_cached_after_put)
        assert not await is_cached_after_put()
