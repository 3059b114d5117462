"""Positions of deliverers: permissions, and the life of a position."""

from dataclasses import replace

import pytest

from generated.problems import Reason
from services.orders.domain.addresses import Coordinates, DelivererPosition
from services.orders.domain.orders import Order, OrderStatus
from services.orders.usecases import complete_order, report_deliverer_position
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW, build_principal, raises_reason
from tests.unit.orders.fakes import ADA, ADMIN, BOB, FakeRepository, build_order

POSITION = Coordinates(39.78, -89.65)


def build_assigned_order(status: OrderStatus = OrderStatus.DELIVERING) -> Order:
    return replace(build_order(status), deliverer_id=BOB.user_id)


async def test_position_replaces_previous_one_until_delivery() -> None:
    repository = FakeRepository(build_assigned_order())
    await report_deliverer_position(repository, repository.clock, BOB, "o1", POSITION)
    await report_deliverer_position(repository, repository.clock, BOB, "o1", Coordinates(0, 180))
    assert repository.positions == {"o1": DelivererPosition("o1", 0, 180, NOW)}
    assert repository.locked_orders == ["o1", "o1"]
    await complete_order(repository, repository.clock, BOB, "o1")
    assert repository.positions == {}


@pytest.mark.parametrize(
    "principal", [build_principal("deliverer", "eve"), ADA, ADMIN], ids=lambda principal: principal.user_id
)
@pytest.mark.parametrize("order_id", ["o1", "unknown"])
async def test_position_by_other_user_is_not_found(principal, order_id: str) -> None:
    repository = FakeRepository(build_assigned_order())
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await report_deliverer_position(repository, repository.clock, principal, order_id, POSITION)
    assert repository.positions == {}


@pytest.mark.parametrize("status", [each for each in OrderStatus if each is not OrderStatus.DELIVERING])
async def test_position_outside_of_delivery_is_a_conflict(status: OrderStatus) -> None:
    repository = FakeRepository(build_assigned_order(status))
    with pytest.raises(ApiError) as raised:
        await report_deliverer_position(repository, repository.clock, BOB, "o1", POSITION)
    assert (raised.value.reason, raised.value.members) == (
        Reason.ORDER_STATE_CONFLICT,
        {"order_status": status.value},
    )
    assert repository.positions == {}
