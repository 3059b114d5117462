"""Payment of a pending order at the checkout page of its bank."""

from generated.problems import Reason
from services.orders.domain.orders import Bank, Order, OrderStatus
from services.orders.usecases.ports import Repository
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal


async def get_checkout(repository: Repository, principal: Principal, order_id: str) -> tuple[Order, Bank]:
    """Return the customer's own pending order and the active bank to pay it at.

    Raises ApiError: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT, BANK_UNAVAILABLE.
    """
    order = await repository.orders.get(order_id)
    if order is None or order.customer_id != principal.user_id:
        raise ApiError(Reason.ORDER_NOT_FOUND)
    if order.status is not OrderStatus.PENDING:
        raise ApiError(Reason.ORDER_STATE_CONFLICT, members={"order_status": order.status.value})
    bank = await repository.banks.get(order.bank_id)
    if bank is None or not bank.active:
        raise ApiError(Reason.BANK_UNAVAILABLE)
    return order, bank
