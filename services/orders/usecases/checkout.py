"""Payment of a pending order at the checkout page of its bank."""

from collections.abc import Collection

from generated.problems import Reason
from services.orders.domain.orders import Bank, Order, OrderStatus
from services.orders.usecases.ports import Repository
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.outbound import base_url


def check_return_url(return_url: str | None, allowed_origins: Collection[str]) -> str | None:
    """Return the normalised URL of the frontend's page to which the bank sends the customer.

    Raises ApiError: RETURN_URL_NOT_ALLOWED for a URL of an origin that is not allowed.
    """
    if return_url is None:
        return None
    try:
        return base_url.normalise_url_of_origin(return_url, allowed_origins)
    except ValueError as error:
        raise ApiError(Reason.RETURN_URL_NOT_ALLOWED) from error


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
