"""Kept answers and the events that end them, by way of a real outbox, relay and broker."""

from urllib.parse import urlsplit

from generated.events import PARTNER_CATALOG_CHANGED
from generated.proto.delivery.partners import v1
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.core.clock import now
from services.runtime.messaging.connection import Broker
from services.runtime.rest.response_cache import ResponseCache, run_invalidation
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.servers import Servers
from tests.integration.test_events import beside, until
from tests.integration.test_partners_admin import ADMIN, new_product

ASKED = ("/api/v1/catalog", b"")


async def test_a_change_ends_what_is_kept_and_nothing_is_kept_that_nobody_could_end(
    partners: PartnersFixture, servers: Servers
) -> None:
    answers = ResponseCache()
    rpc = PartnersRpc(partners.repository, partners.secret_box, now)
    product = await new_product(rpc)

    async def kept() -> bool:
        answers.put(ASKED, b"{}", answers.generation)
        return answers.get(ASKED) is not None

    async def ended() -> bool:
        return answers.get(ASKED) is None

    url = servers.settings("gateway")["BROKER_URL"]
    broker = urlsplit(url)
    with FaultProxy(str(broker.hostname), int(broker.port or 0)) as proxy:
        listening = run_invalidation(
            Broker(url.replace(f":{broker.port}", f":{proxy.port}"), "test"), {PARTNER_CATALOG_CHANGED: answers}
        )
        assert not await kept()
        async with beside(listening, partners.create_relay().run()):
            await until(kept)
            edition = answers.generation
            await rpc.update_product(v1.UpdateProductRequest(product_id=product, title="Another"), ADMIN)
            await until(ended)
            assert answers.generation > edition

            assert await kept()
            proxy.set_fault(Fault.DOWN)
            await until(ended)
            assert not await kept()
            proxy.set_fault(Fault.NONE)
            await until(kept)
        assert not await kept()
