"""Handlers of order checks, order confirmation and order events, with stubs of the services."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders import v1
from generated.proto.delivery.partners.v1 import (
    BasketItem,
    CheckProductsRequest,
    CheckProductsResponse,
    PartnerSummary,
    PricedItem,
)
from generated.rest.delivery import models
from services.gateway.entrypoints.rest.orders import Orders
from services.gateway.usecases.active_banks import ActiveBanks
from services.gateway.usecases.order_checks import CHECK_TTL
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.rest.types import Event
from tests.recording_stub import RecordingStub
from tests.unit.fake_transactions import NOW
from tests.unit.gateway.fakes import FakeCheckCache

ADA = Principal("ada", "customer", "ada@delivery.test", True, NOW + timedelta(hours=1))
CHECKED = CheckProductsResponse(
    partner=PartnerSummary(id=1, title="Green Bowl", brand="B"),
    items=[PricedItem(product_id=7, title="Soup", quantity=2, price=100)],
    total_amount=200,
    currency="USD",
)
BASKET = v1.CheckedBasket(
    partner=v1.OrderPartner(id=1, title="Green Bowl", brand="B"),
    items=[v1.OrderItem(product_id=7, title="Soup", quantity=2, price=100)],
    total_amount=200,
    currency="USD",
    bank_id="visa",
    delivery_address="1 Long Street",
)
STORED_BASKET = replace(BASKET, expires_at=NOW + CHECK_TTL)
CREATED = v1.CreateOrderResponse(
    order=v1.Order(
        id="o1",
        status=v1.OrderStatus.PENDING,
        customer_id="ada",
        partner=BASKET.partner,
        items=BASKET.items,
        total_amount=200,
        currency="USD",
        refund_status=v1.RefundStatus.NONE,
        bank_id="visa",
        delivery_address="1 Long Street",
        version=1,
        created_at=NOW,
        updated_at=NOW,
    ),
    payment=v1.PaymentInstructions(webcheckout_url="https://b/pay", callback_url="https://d/callback"),
)


def make_orders(stub: RecordingStub, cache: FakeCheckCache | None = None, *bank_ids: str) -> Orders:
    banks = v1.ListBanksResponse(items=[v1.BankSummary(id=bank_id) for bank_id in bank_ids or ("visa",)])
    orders = Orders(cast(Any, stub), cast(Any, stub), cache or FakeCheckCache(), lambda: NOW)
    orders.active_banks = ActiveBanks(cast(Any, RecordingStub(list_banks=banks)))
    return orders


def check_request(*product_ids: int, **changes: Any) -> models.CheckOrderRequest:
    items = [models.BasketItem(product_id=product_id, quantity=2) for product_id in product_ids]
    return models.CheckOrderRequest(
        partner_id=1, items=items, total_amount=200, bank_id="visa", delivery_address="1 Long Street", **changes
    )


async def test_checked_basket_is_returned_and_cached_for_the_customer() -> None:
    stub, cache = RecordingStub(check_products=CHECKED), FakeCheckCache()
    response = await make_orders(stub, cache).check_order(principal=ADA, body=check_request(7))
    assert stub.requests == [
        CheckProductsRequest(
            partner_id=1, items=[BasketItem(product_id=7, quantity=2)], total_amount=200, currency="USD"
        )
    ]
    check_id = response.body.check_id
    assert response.headers == {"Location": f"/api/v1/order-checks/{check_id}"}
    assert response.body == models.OrderCheck(
        check_id=check_id,
        expires_at=NOW + CHECK_TTL,
        total_amount=200,
        delivery_fee=0,
        tip_amount=0,
        currency="USD",
        partner=models.PartnerSummary(id=1, title="Green Bowl", brand="B"),
        items=[models.PricedItem(product_id=7, title="Soup", quantity=2, price=100)],
    )
    assert cache.baskets == {(check_id, "ada"): replace(BASKET, expires_at=NOW + CHECK_TTL)}


async def test_location_of_order_check_is_readable_by_its_customer() -> None:
    orders = make_orders(RecordingStub(check_products=CHECKED))
    checked = (await orders.check_order(principal=ADA, body=check_request(7))).body
    assert await orders.get_order_check(principal=ADA, check_id=checked.check_id) == checked
    with pytest.raises(ApiError) as raised:
        await orders.get_order_check(principal=replace(ADA, user_id="eve"), check_id=checked.check_id)
    assert raised.value.reason is Reason.CHECK_EXPIRED


async def test_basket_with_unknown_bank_is_not_cached() -> None:
    stub, cache = RecordingStub(check_products=CHECKED), FakeCheckCache()
    with pytest.raises(ApiError) as raised:
        await make_orders(stub, cache, "north").check_order(principal=ADA, body=check_request(7))
    assert raised.value.reason is Reason.BANK_UNAVAILABLE
    assert cache.baskets == {}


async def test_cached_basket_contains_contact_data() -> None:
    stub, cache = RecordingStub(check_products=CHECKED), FakeCheckCache()
    body = check_request(7, customer_name="Ada", customer_phone="+12025550101")
    await make_orders(stub, cache).check_order(principal=ADA, body=body)
    (basket,) = cache.baskets.values()
    assert (basket.customer_name, basket.customer_phone) == ("Ada", "+12025550101")


async def test_cached_basket_contains_delivery_fee() -> None:
    stub, cache = RecordingStub(check_products=replace(CHECKED, delivery_fee=250)), FakeCheckCache()
    response = await make_orders(stub, cache).check_order(principal=ADA, body=check_request(7))
    (basket,) = cache.baskets.values()
    assert (basket.delivery_fee, response.body.delivery_fee) == (250, 250)


async def test_cached_basket_contains_address_note_and_tip() -> None:
    stub, cache = RecordingStub(check_products=CHECKED), FakeCheckCache()
    address = models.CheckOrderAddress(
        street="1 Long Street",
        city="Springfield",
        country="US",
        coordinates=models.Coordinates(latitude=39.78, longitude=-89.65),
    )
    body = check_request(7, address=address, note="No onions", tip_amount=50)
    response = await make_orders(stub, cache).check_order(principal=ADA, body=body)
    assert (stub.requests[0].tip_amount, response.body.tip_amount) == (50, 50)
    (basket,) = cache.baskets.values()
    assert (basket.note, basket.tip_amount) == ("No onions", 50)
    assert basket.address == v1.Address(
        street="1 Long Street",
        city="Springfield",
        country="US",
        coordinates=v1.Coordinates(latitude=39.78, longitude=-89.65),
    )


async def test_repeated_product_is_rejected_before_any_call() -> None:
    stub = RecordingStub(check_products=CHECKED)
    with pytest.raises(ApiError) as raised:
        await make_orders(stub).check_order(principal=ADA, body=check_request(7, 8, 7, 8))
    assert raised.value.reason is Reason.INVALID_REQUEST
    assert [error.field for error in raised.value.errors] == ["/items/2/product_id", "/items/3/product_id"]
    assert stub.requests == []


async def test_rejected_basket_is_not_cached() -> None:
    stub, cache = RecordingStub(check_products=ApiError(Reason.TOTAL_MISMATCH)), FakeCheckCache()
    with pytest.raises(ApiError):
        await make_orders(stub, cache).check_order(principal=ADA, body=check_request(7))
    assert cache.baskets == {}


async def test_check_with_unavailable_cache_raises_error() -> None:
    orders = make_orders(RecordingStub(check_products=CHECKED), FakeCheckCache(is_available=False))
    with pytest.raises(ApiError) as raised:
        await orders.check_order(principal=ADA, body=check_request(7))
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE


@pytest.mark.parametrize("replayed", [False, True])
async def test_confirmed_order_is_created_from_cached_basket(replayed: bool) -> None:
    created = v1.CreateOrderResponse(order=CREATED.order, payment=CREATED.payment, replayed=replayed)
    stub, cache = RecordingStub(create_order=created, check_products=CHECKED), FakeCheckCache()
    cache.baskets["c1", "ada"] = STORED_BASKET
    response = await make_orders(stub, cache).confirm_order(
        principal=ADA, body=models.ConfirmOrderRequest(check_id="c1"), idempotency_key="k1"
    )
    assert stub.requests == [
        CheckProductsRequest(
            partner_id=1, items=[BasketItem(product_id=7, quantity=2)], total_amount=200, currency="USD"
        ),
        v1.CreateOrderRequest(check_id="c1", basket=STORED_BASKET, idempotency_key="k1"),
    ]
    assert response.headers == {"Location": "/api/v1/orders/o1"}
    assert response.replayed is replayed
    assert response.body.order.id == "o1"
    assert response.body.payment.webcheckout_url == "https://b/pay"


@pytest.mark.parametrize(
    "reason", [Reason.PARTNER_UNAVAILABLE, Reason.PRODUCT_UNAVAILABLE, Reason.UPSTREAM_UNAVAILABLE]
)
async def test_basket_rejected_after_the_check_creates_no_order(reason: Reason) -> None:
    stub, cache = RecordingStub(create_order=CREATED, check_products=ApiError(reason)), FakeCheckCache()
    cache.baskets["c1", "ada"] = STORED_BASKET
    body = models.ConfirmOrderRequest(check_id="c1")
    await make_orders(stub, cache).confirm_order(principal=ADA, body=body, idempotency_key="k1")
    assert stub.requests[1:] == [v1.CreateOrderRequest(check_id="c1", idempotency_key="k1", rejection=reason.value)]


@pytest.mark.parametrize("reason", [Reason.TOTAL_MISMATCH, Reason.CURRENCY_MISMATCH])
async def test_price_changed_after_the_check_is_not_charged(reason: Reason) -> None:
    stub, cache = RecordingStub(create_order=CREATED, check_products=ApiError(reason)), FakeCheckCache()
    cache.baskets["c1", "ada"] = STORED_BASKET
    await make_orders(stub, cache).confirm_order(principal=ADA, body=models.ConfirmOrderRequest(check_id="c1"))
    assert stub.requests[1:] == [v1.CreateOrderRequest(check_id="c1", basket=STORED_BASKET)]


@pytest.mark.parametrize("is_available", [True, False])
async def test_confirm_without_basket_reports_cache_state(is_available: bool) -> None:
    stub, cache = RecordingStub(create_order=CREATED), FakeCheckCache(is_available=is_available)
    cache.baskets["c1", "eve"] = STORED_BASKET
    await make_orders(stub, cache).confirm_order(principal=ADA, body=models.ConfirmOrderRequest(check_id="c1"))
    assert stub.requests == [v1.CreateOrderRequest(check_id="c1", cache_unavailable=not is_available)]


@pytest.mark.parametrize(
    ("last_event_id", "version"),
    [(None, None), ("", None), ("7", 7), ("0", 0), ("x", None), ("-1", None), ("٧", None), ("9" * 19, None)],
)
async def test_stream_resumes_after_received_version(last_event_id: str | None, version: int | None) -> None:
    stub = RecordingStub(watch_order=[])
    events = make_orders(stub).watch_order(principal=ADA, order_id="o1", last_event_id=last_event_id)
    assert [event async for event in events] == []
    assert stub.requests == [v1.WatchOrderRequest(order_id="o1", after_version=version)]


async def test_stream_contains_status_changes() -> None:
    changes = [v1.WatchOrderResponse(version=3, status=v1.OrderStatus.PAID, at=NOW)]
    events = make_orders(RecordingStub(watch_order=changes)).watch_order(principal=ADA, order_id="o1")
    expected = models.OrderEvent(order_id="o1", status=models.OrderStatus.paid, at=NOW)
    assert [event async for event in events] == [Event("3", expected)]


async def test_stream_contains_positions_as_named_events() -> None:
    position = v1.Coordinates(latitude=39.78, longitude=-89.65)
    changes = [v1.WatchOrderResponse(version=4, status=v1.OrderStatus.DELIVERING, at=NOW, deliverer_position=position)]
    events = make_orders(RecordingStub(watch_order=changes)).watch_order(principal=ADA, order_id="o1")
    expected = models.OrderEvent(
        order_id="o1",
        status=models.OrderStatus.delivering,
        at=NOW,
        deliverer_position=models.Coordinates(latitude=39.78, longitude=-89.65),
    )
    assert [event async for event in events] == [Event("4", expected, "deliverer_position")]


async def test_closed_stream_closes_the_call() -> None:
    closed = []

    class Stub:
        async def watch_order(self, request: v1.WatchOrderRequest) -> AsyncGenerator[v1.WatchOrderResponse]:
            try:
                while True:
                    yield v1.WatchOrderResponse(version=1, status=v1.OrderStatus.PENDING, at=NOW)
            finally:
                closed.append(request.order_id)

    orders = Orders(cast(Any, Stub()), cast(Any, None), FakeCheckCache(), lambda: NOW)
    events = cast(AsyncGenerator[Any], orders.watch_order(principal=ADA, order_id="o1"))
    await anext(events)
    await events.aclose()
    assert closed == ["o1"]
