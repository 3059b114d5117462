"""Positions of deliverers, which customers see while they watch their orders."""

from generated.problems import Reason
from services.orders.domain.addresses import Coordinates, DelivererPosition
from services.orders.domain.orders import OrderStatus
from services.orders.usecases.ports import Repository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal


async def report_deliverer_position(
    repository: Repository, clock: Clock, principal: Principal, order_id: str, coordinates: Coordinates
) -> None:
    """Replace the position of the calling deliverer, while the order is being delivered.

    Raises ApiError: ORDER_NOT_FOUND for any caller but the order's deliverer, ORDER_STATE_CONFLICT.
    """
    async with repository.unit_of_work() as unit:
        # The lock excludes a concurrent completion, after which no position may be stored.
        order = await unit.orders.get_for_update(order_id)
        if order is None or order.deliverer_id != principal.user_id:
            raise ApiError(Reason.ORDER_NOT_FOUND)
        if order.status is not OrderStatus.DELIVERING:
            raise ApiError(Reason.ORDER_STATE_CONFLICT, members={"order_status": order.status.value})
        await unit.positions.save(DelivererPosition(order_id, coordinates.latitude, coordinates.longitude, clock()))
