"""REST handlers of orders and deliveries."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import (
    AssignOrderRequest,
    CancelOrderRequest,
    CheckedBasket,
    CompleteOrderRequest,
    CreateOrderRequest,
    GetOrderHistoryRequest,
    GetOrderRequest,
    ListAvailableDeliveriesRequest,
    ListOrdersRequest,
    OrderItem,
    OrderPartner,
    WatchOrderRequest,
    WatchOrderResponse,
)
from generated.proto.delivery.orders.v1 import OrderStatus as OrderStatusMessage
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1 import CheckProductsRequest
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert, pages
from generated.rest.delivery.handlers import DeliveriesHandler, OrdersHandler
from generated.rest.delivery.models import (
    CancelOrderRequest as Cancellation,
)
from generated.rest.delivery.models import (
    CheckOrderRequest,
    ConfirmedOrder,
    ConfirmOrderRequest,
    DeliveryPage,
    HistoryPage,
    Order,
    OrderCheck,
    OrderEvent,
    OrderPage,
    OrderStatus,
)
from services.gateway.usecases.ports import CHECK_TTL, OrderCheckCache
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.ids import new_id
from services.runtime.core.principal import Principal
from services.runtime.rest.types import Event, Response, require, unset_to_none

MAX_VERSION_DIGITS = 19
"""Upper bound, exclusive, of the digits of an order version."""


class Orders(OrdersHandler):
    """Operations tagged `orders`."""

    def __init__(self, orders: OrdersStub, partners: PartnersStub, check_cache: OrderCheckCache, clock: Clock) -> None:
        self._orders = orders
        self._partners = partners
        self._check_cache = check_cache
        self._clock = clock

    async def check_order(self, *, principal: Principal, body: CheckOrderRequest) -> Response[OrderCheck]:
        """Check the basket against the partner's prices and cache the result."""
        _reject_duplicate_items(body)
        request = CheckProductsRequest(
            partner_id=body.partner_id,
            items=[convert.to_basket_item(item) for item in body.items],
            total_amount=body.total_amount,
            currency=body.currency,
        )
        checked = await self._partners.check_products(request)
        partner = require(checked.partner)
        basket = CheckedBasket(
            partner=OrderPartner(id=partner.id, title=partner.title, brand=partner.brand),
            items=[
                OrderItem(product_id=item.product_id, title=item.title, quantity=item.quantity, price=item.price)
                for item in checked.items
            ],
            total_amount=checked.total_amount,
            currency=checked.currency,
            bank_id=body.bank_id,
            delivery_address=body.delivery_address,
            customer_name=unset_to_none(body.customer_name),
            customer_phone=unset_to_none(body.customer_phone),
        )
        check_id = new_id()
        expires_at = self._clock() + CHECK_TTL
        await self._check_cache.put(check_id, principal.user_id, basket)
        check = OrderCheck(
            check_id=check_id,
            expires_at=expires_at,
            total_amount=checked.total_amount,
            currency=checked.currency,
            partner=convert.partner_summary(partner),
            items=[convert.priced_item(item) for item in checked.items],
        )
        return Response(check, {"Location": f"/api/v1/order-checks/{check_id}"})

    async def confirm_order(
        self, *, principal: Principal, body: ConfirmOrderRequest, idempotency_key: str | None = None
    ) -> Response[ConfirmedOrder]:
        """Create the order of a check. Without the check, only an order already created from it is returned."""
        basket, cache_unavailable = await self._load_basket(body.check_id, principal.user_id)
        request = CreateOrderRequest(
            check_id=body.check_id,
            basket=basket,
            idempotency_key=idempotency_key,
            cache_unavailable=cache_unavailable,
        )
        created = await self._orders.create_order(request)
        order = convert.order(require(created.order))
        confirmed = ConfirmedOrder(order=order, payment=convert.payment_instructions(require(created.payment)))
        return Response(confirmed, {"Location": f"/api/v1/orders/{order.id}"}, replayed=created.replayed)

    async def _load_basket(self, check_id: str, user_id: str) -> tuple[CheckedBasket | None, bool]:
        """Return the cached basket, and whether the cache is unavailable."""
        try:
            return await self._check_cache.get(check_id, user_id), False
        except ApiError:
            return None, True

    async def list_orders(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        status: OrderStatus | None = None,
    ) -> OrderPage:
        """Return a page of the orders that the user may see."""
        order_status = None if status is None else OrderStatusMessage[status.name.upper()]
        request = ListOrdersRequest(page_size=page_size, page_token=page_token or "", status=order_status)
        return await self._orders.list_orders(request, pages.order_page)

    async def get_order(self, *, principal: Principal, order_id: str) -> Order:
        """Return the order."""
        response = await self._orders.get_order(GetOrderRequest(order_id=order_id))
        return convert.order(require(response.order))

    async def get_order_history(
        self, *, principal: Principal, order_id: str, page_size: int = 20, page_token: str | None = None
    ) -> HistoryPage:
        """Return a page of the order's history."""
        request = GetOrderHistoryRequest(order_id=order_id, page_size=page_size, page_token=page_token or "")
        return await self._orders.get_order_history(request, pages.history_page)

    async def cancel_order(self, *, principal: Principal, order_id: str, body: Cancellation) -> Order:
        """Cancel an order."""
        request = CancelOrderRequest(order_id=order_id, reason=unset_to_none(body.reason))
        response = await self._orders.cancel_order(request)
        return convert.order(require(response.order))

    async def watch_order(
        self, *, principal: Principal, order_id: str, last_event_id: str | None = None
    ) -> AsyncIterator[Event[OrderEvent]]:
        """Stream the status changes of an order. An event id that is not a version is ignored."""
        event_id = last_event_id or ""
        is_version = event_id.isascii() and event_id.isdigit() and len(event_id) < MAX_VERSION_DIGITS
        request = WatchOrderRequest(order_id=order_id, after_version=int(event_id) if is_version else None)
        changes = cast(AsyncGenerator[WatchOrderResponse], self._orders.watch_order(request))
        async with aclosing(changes):
            async for change in changes:
                event = OrderEvent(order_id=order_id, status=convert.ORDER_STATUS[change.status], at=require(change.at))
                yield Event(str(change.version), event)


class Deliveries(DeliveriesHandler):
    """Operations tagged `deliveries`."""

    def __init__(self, orders: OrdersStub) -> None:
        self._orders = orders

    async def list_available_deliveries(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> DeliveryPage:
        """Return a page of orders that wait for a deliverer."""
        request = ListAvailableDeliveriesRequest(page_size=page_size, page_token=page_token or "")
        return await self._orders.list_available_deliveries(request, pages.delivery_page)

    async def assign_order(self, *, principal: Principal, order_id: str) -> Order:
        """Assign an order to the caller."""
        response = await self._orders.assign_order(AssignOrderRequest(order_id=order_id))
        return convert.order(require(response.order))

    async def complete_delivery(self, *, principal: Principal, order_id: str) -> Order:
        """Complete the delivery of an order."""
        response = await self._orders.complete_order(CompleteOrderRequest(order_id=order_id))
        return convert.order(require(response.order))


def _reject_duplicate_items(body: CheckOrderRequest) -> None:
    """Reject a basket with a repeated product, which JSON Schema cannot express.

    Raises ApiError: INVALID_REQUEST.
    """
    seen: set[int] = set()
    errors = []
    for index, item in enumerate(body.items):
        if item.product_id in seen:
            errors.append(FieldError(f"/items/{index}/product_id", "is already in the basket"))
        seen.add(item.product_id)
    if errors:
        raise ApiError(Reason.INVALID_REQUEST, errors=errors)
