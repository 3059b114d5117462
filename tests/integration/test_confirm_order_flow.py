"""Flow of confirmOrder through gateway, orders and partners, on real servers and without sidecars."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners import v1
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery.models import BasketItem, CheckOrderRequest, ConfirmOrderRequest
from services.gateway.adapters.order_check_cache import MemcachedOrderCheckCache
from services.gateway.entrypoints.rest import orders as gateway
from services.orders.adapters.order_change_listener import PostgresOrderChangeListener
from services.orders.entrypoints.rpc import OrdersRpc
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.core.clock import now
from services.runtime.core.ids import derive_id, generate_id
from services.runtime.core.pagination import PageTokenSigner
from services.runtime.outbound.webhook_secrets import generate_secret
from services.runtime.rpc.codec import Codec, get_codec
from services.runtime.rpc.server import RpcServer
from tests.conftest import ROOT
from tests.file_entries import recording_file_entries
from tests.integration.fixtures.orders import ADA, Orders
from tests.integration.fixtures.orders import ROOT as ADMIN
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.payload_interceptor import PayloadInterceptor
from tests.integration.fixtures.servers import Servers

ENTRY_POINTS = {
    "gateway/entrypoints/rest/orders.py",
    "partners/entrypoints/rpc.py",
    "orders/entrypoints/rpc.py",
}


def list_readme_files() -> list[str]:
    """Return the files of services in README's list of an operation, in the order of their numbers."""
    _, _, text = (ROOT / "README.md").read_text(encoding="utf-8").partition("read confirmOrder in this order:")
    items, _, _ = text.partition("A confirmation enters")
    links = re.findall(r"(?m)^(\d+)\. \[[^]]+\]\(([^)]+)\)", items)
    assert [int(number) for number, _ in links] == [*range(1, len(links) + 1)]
    return [path.removeprefix("services/") for _, path in links if path.startswith("services/")]


@pytest.fixture
async def channel(orders: Orders, partners: PartnersFixture, tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """Return a channel to orders and partners, which share one server."""
    listener = PostgresOrderChangeListener(orders.database.url)
    orders_rpc = OrdersRpc(
        orders.repository, orders.history, listener, orders.secret_box, now, derive_id, "https://edge.test", ()
    )
    partners_rpc = PartnersRpc(partners.repository, partners.secret_box, now)
    server = RpcServer(tmp_path / "rpc.sock", [orders_rpc, partners_rpc], PageTokenSigner(["key"]))
    await server.start()
    interceptors = [PayloadInterceptor(ADA)]
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/rpc.sock", interceptors=interceptors) as channel:
        yield channel
    await server.stop(grace_s=0, drain_notice_s=0)


@pytest.fixture
async def basket(partners: PartnersFixture) -> CheckOrderRequest:
    """Return a basket of a product that a partner sells."""
    partner = await partners.add_partner("https://north.example", generate_secret())
    rpc = PartnersRpc(partners.repository, partners.secret_box, now)
    created = await rpc.create_product(v1.CreateProductRequest(title="Soup", description="Warm."), ADMIN)
    product_id = get_codec().decode(v1.CreateProductResponse, created.data).product.id
    await rpc.set_availability(
        v1.SetAvailabilityRequest(partner_id=partner.id, product_id=product_id, price=350, currency="USD", active=True),
        ADMIN,
    )
    return CheckOrderRequest(
        partner_id=partner.id,
        items=[BasketItem(product_id=product_id, quantity=2)],
        total_amount=700,
        bank_id="visa",
        delivery_address="1 Long Street",
    )


async def test_confirmed_order_enters_each_file_once_and_is_encoded_once(
    servers: Servers, channel: grpc.aio.Channel, basket: CheckOrderRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = MemcachedOrderCheckCache(servers.memcached, [b"key"])
    handler = gateway.Orders(OrdersStub(channel), PartnersStub(channel), cache, now)
    encoded: list[str] = []
    encode = Codec.encode

    def record_encode(codec: Codec, message: Any) -> bytes:
        encoded.append(type(message).__name__)
        return encode(codec, message)

    monkeypatch.setattr(Codec, "encode", record_encode)
    for key in (None, generate_id()):
        check = (await handler.check_order(principal=ADA, body=basket)).body
        encoded.clear()
        with recording_file_entries(ROOT / "services") as entries:
            await handler.confirm_order(
                principal=ADA, body=ConfirmOrderRequest(check_id=check.check_id), idempotency_key=key
            )
        # The shared library is no part of the flow: each statement, span and message passes through it.
        files = Counter(file for file in entries if not file.startswith("runtime/"))
        assert files.keys() >= ENTRY_POINTS
        # The operation of a unit of work is called by the shared library, so its use case is entered again.
        repeated = {file: count for file, count in files.items() if count > 1}
        assert repeated == {"orders/usecases/orders.py": 2}
        listed = list_readme_files()
        assert [file for file in dict.fromkeys(entries) if file in listed] == listed
        assert encoded.count("CreateOrderResponse") == 1
    cache.close()
