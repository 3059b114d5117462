"""Payment of a pending order: visibility, states and banks."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from generated.problems import Reason
from services.orders.domain.orders import Bank, OrderStatus
from services.orders.usecases import check_return_url, get_checkout
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from tests.unit.fake_transactions import build_principal, raises_reason
from tests.unit.orders.fakes import ADA, ADMIN, BANK, BOB, FakeRepository, build_order


async def test_checkout_of_pending_order_has_its_bank() -> None:
    repository = FakeRepository(build_order())
    assert await get_checkout(repository, ADA, "o1") == (build_order(), BANK)
    assert repository.locked_orders == []


@pytest.mark.parametrize("principal", [build_principal("customer", "eve"), BOB, ADMIN], ids=lambda each: each.user_id)
async def test_checkout_is_visible_to_its_customer_only(principal: Principal) -> None:
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await get_checkout(FakeRepository(replace(build_order(), deliverer_id=BOB.user_id)), principal, "o1")


async def test_checkout_of_unknown_order_raises() -> None:
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await get_checkout(FakeRepository(), ADA, "o1")


@pytest.mark.parametrize("status", [each for each in OrderStatus if each != OrderStatus.PENDING])
async def test_checkout_of_order_that_is_not_pending_raises(status: OrderStatus) -> None:
    with pytest.raises(ApiError) as caught:
        await get_checkout(FakeRepository(build_order(status)), ADA, "o1")
    assert (caught.value.reason, caught.value.members) == (
        Reason.ORDER_STATE_CONFLICT,
        {"order_status": status.value},
    )


@pytest.mark.parametrize("banks", [(), (replace(BANK, active=False),)], ids=["unknown", "inactive"])
async def test_checkout_at_unavailable_bank_raises(banks: Sequence[Bank]) -> None:
    with raises_reason(Reason.BANK_UNAVAILABLE):
        await get_checkout(FakeRepository(build_order(), banks=banks), ADA, "o1")


def test_return_url_of_allowed_origin_is_normalised() -> None:
    assert check_return_url(None, ()) is None
    assert check_return_url("https://APP.test", ["https://app.test"]) == "https://app.test/"


@pytest.mark.parametrize("url", ["https://evil.test/", "https://app.test.evil.test/", "javascript:alert(1)"])
def test_return_url_of_other_origin_raises(url: str) -> None:
    with raises_reason(Reason.RETURN_URL_NOT_ALLOWED):
        check_return_url(url, ["https://app.test"])
