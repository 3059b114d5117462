"""Order checks: storage for CHECK_TTL, and the difference between a miss and an unavailable cache."""

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.usecases import order_checks
from services.gateway.usecases.order_checks import CHECK_TTL
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.gateway.fakes import FakeCheckCache

BASKET = CheckedBasket(bank_id="visa", total_amount=200)


async def test_saved_check_is_returned_to_its_customer_only() -> None:
    cache = FakeCheckCache()
    check_id = await order_checks.save_check(cache, lambda: NOW, "ada", BASKET)
    assert BASKET.expires_at == NOW + CHECK_TTL
    assert await order_checks.load_basket(cache, lambda: NOW, check_id, "ada") == (BASKET, False)
    assert await order_checks.load_basket(cache, lambda: NOW, check_id, "eve") == (None, False)
    assert await order_checks.get_basket(cache, lambda: NOW, check_id, "ada") == BASKET
    for unknown_id, user_id in ((check_id, "eve"), ("c1", "ada")):
        with raises_reason(Reason.CHECK_EXPIRED):
            await order_checks.get_basket(cache, lambda: NOW, unknown_id, user_id)


async def test_check_that_outlives_its_time_in_the_cache_has_expired() -> None:
    cache = FakeCheckCache()
    check_id = await order_checks.save_check(cache, lambda: NOW, "ada", BASKET)
    with raises_reason(Reason.CHECK_EXPIRED):
        await order_checks.get_basket(cache, lambda: NOW + CHECK_TTL, check_id, "ada")
    assert await order_checks.load_basket(cache, lambda: NOW + CHECK_TTL, check_id, "ada") == (None, False)


async def test_each_check_has_its_own_id() -> None:
    cache = FakeCheckCache()
    ids = {await order_checks.save_check(cache, lambda: NOW, "ada", BASKET) for _ in range(3)}
    assert len(ids) == 3


async def test_unavailable_cache_is_not_a_miss() -> None:
    cache = FakeCheckCache()
    cache.is_available = False
    assert await order_checks.load_basket(cache, lambda: NOW, "c1", "ada") == (None, True)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await order_checks.get_basket(cache, lambda: NOW, "c1", "ada")
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await order_checks.save_check(cache, lambda: NOW, "ada", BASKET)
