"""Kept answers and the events that end them, by way of a real outbox, relay and broker."""

from urllib.parse import urlsplit

from generated.events import PARTNER_CATALOG_CHANGED
from generated.proto.delivery.partners import v1
from services.partners.rpc import PartnersRpc
from services.runtime.broker import Broker
from services.runtime.clock import now
from services.runtime.rest.kept import KeptAnswers, follow
from tests.integration.partners import Partners
from tests.integration.servers import Servers
from tests.integration.test_events import beside, until
from tests.integration.test_partners_admin import ADMIN, new_product
from tests.proxy import Fault, Proxy

ASKED = ("/api/v1/catalog", b"")


async def test_a_change_ends_what_is_kept_and_nothing_is_kept_that_nobody_could_end(
    partners: Partners, servers: Servers
) -> None:
    answers = KeptAnswers()
    rpc = PartnersRpc(partners.store, partners.vault, now)
    product = await new_product(rpc)

    async def kept() -> bool:
        answers.put(ASKED, b"{}", answers.edition)
        return answers.get(ASKED) is not None

    async def ended() -> bool:
        return answers.get(ASKED) is None

    url = servers.settings("gateway")["BROKER_URL"]
    broker = urlsplit(url)
    with Proxy(str(broker.hostname), int(broker.port or 0)) as proxy:
        listening = follow(
            Broker(url.replace(f":{broker.port}", f":{proxy.port}"), "test"), {PARTNER_CATALOG_CHANGED: answers}
        )
        assert not await kept()
        async with beside(listening, partners.relay().run()):
            await until(kept)
            edition = answers.edition
            await rpc.update_product(v1.UpdateProductRequest(product_id=product, title="Another"), ADMIN)
            await until(ended)
            assert answers.edition > edition

            assert await kept()
            proxy.set(Fault.DOWN)
            await until(ended)
            assert not await kept()
            proxy.set(Fault.NONE)
            await until(kept)
        assert not await kept()
