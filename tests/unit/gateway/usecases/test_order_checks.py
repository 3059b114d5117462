"""Order checks: storage for CHECK_TTL, and confirmation of what is still available."""

from typing import Any, cast

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket, OrderItem, OrderPartner
from generated.proto.delivery.partners.v1 import BasketItem, CheckProductsRequest, CheckProductsResponse
from services.gateway.usecases import order_checks
from services.gateway.usecases.order_checks import CHECK_TTL, Confirmation
from services.runtime.core.errors import ApiError
from tests.recording_stub import RecordingStub
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.gateway.fakes import FakeCheckCache

BASKET = CheckedBasket(
    partner=OrderPartner(id=1),
    items=[OrderItem(product_id=7, title="Soup", quantity=2, price=100)],
    total_amount=200,
    currency="USD",
    bank_id="visa",
    tip_amount=50,
)


async def confirm(cache: FakeCheckCache, stub: RecordingStub, check_id: str, user_id: str = "ada") -> Confirmation:
    return await order_checks.confirm_check(cache, cast(Any, stub), lambda: NOW, check_id, user_id)


async def test_saved_check_is_returned_to_its_customer_only() -> None:
    cache = FakeCheckCache()
    check_id = await order_checks.save_check(cache, lambda: NOW, "ada", BASKET)
    assert BASKET.expires_at == NOW + CHECK_TTL
    assert await confirm(cache, RecordingStub(check_products=CheckProductsResponse()), check_id) == (
        BASKET,
        None,
        False,
    )
    assert await confirm(cache, RecordingStub(), check_id, "eve") == (None, None, False)
    assert await order_checks.get_basket(cache, lambda: NOW, check_id, "ada") == BASKET
    for unknown_id, user_id in ((check_id, "eve"), ("c1", "ada")):
        with raises_reason(Reason.CHECK_EXPIRED):
            await order_checks.get_basket(cache, lambda: NOW, unknown_id, user_id)


async def test_check_that_outlives_its_time_in_the_cache_has_expired() -> None:
    cache = FakeCheckCache()
    check_id = await order_checks.save_check(cache, lambda: NOW, "ada", BASKET)
    with raises_reason(Reason.CHECK_EXPIRED):
        await order_checks.get_basket(cache, lambda: NOW + CHECK_TTL, check_id, "ada")
    stub = cast(Any, RecordingStub())
    expired = await order_checks.confirm_check(cache, stub, lambda: NOW + CHECK_TTL, check_id, "ada")
    assert expired == (None, None, False)


@pytest.mark.parametrize(
    "reason", [Reason.PARTNER_CLOSED, Reason.PRODUCT_UNAVAILABLE, Reason.UPSTREAM_UNAVAILABLE, Reason.INTERNAL]
)
async def test_basket_rejected_after_the_check_is_not_confirmed(reason: Reason) -> None:
    cache, stub = FakeCheckCache(), RecordingStub(check_products=ApiError(reason))
    check_id = await order_checks.save_check(cache, lambda: NOW, "ada", BASKET)
    assert await confirm(cache, stub, check_id) == (None, reason, False)
    items = [BasketItem(product_id=7, quantity=2)]
    assert stub.requests == [
        CheckProductsRequest(partner_id=1, items=items, total_amount=200, currency="USD", tip_amount=50)
    ]


@pytest.mark.parametrize("reason", [Reason.TOTAL_MISMATCH, Reason.CURRENCY_MISMATCH])
async def test_price_changed_after_the_check_is_no_rejection(reason: Reason) -> None:
    cache, stub = FakeCheckCache(), RecordingStub(check_products=ApiError(reason))
    check_id = await order_checks.save_check(cache, lambda: NOW, "ada", BASKET)
    assert await confirm(cache, stub, check_id) == (BASKET, None, False)


async def test_each_check_has_its_own_id() -> None:
    cache = FakeCheckCache()
    ids = {await order_checks.save_check(cache, lambda: NOW, "ada", BASKET) for _ in range(3)}
    assert len(ids) == 3


async def test_unavailable_cache_is_not_a_miss() -> None:
    cache = FakeCheckCache()
    cache.is_available = False
    assert await confirm(cache, RecordingStub(), "c1") == (None, None, True)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await order_checks.get_basket(cache, lambda: NOW, "c1", "ada")
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await order_checks.save_check(cache, lambda: NOW, "ada", BASKET)
