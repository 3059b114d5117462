"""From the basket to the door."""

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
from services.gateway.adapters.order_check_cache import CHECK_TTL, OrderCheckCache
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.ids import new_id
from services.runtime.core.principal import Principal
from services.runtime.rest.types import Event, Response, require, unset_to_none

MAX_VERSION_DIGITS = 19
"""Of a version, one more than it can have."""


class Orders(OrdersHandler):
    """The operations tagged `orders`."""

    def __init__(self, orders: OrdersStub, partners: PartnersStub, check_cache: OrderCheckCache, clock: Clock) -> None:
        self._orders = orders
        self._partners = partners
        self._check_cache = check_cache
        self._clock = clock

    async def check_order(self, *, principal: Principal, body: CheckOrderRequest) -> Response[OrderCheck]:
        """Compares the basket with the partner's own prices, and keeps what it found."""
        _reject_duplicate_items(body)
        request = CheckProductsRequest(
            partner_id=body.partner_id,
            items=[convert.to_basket_item(item) for item in body.items],
            total_amount=body.total_amount,
            currency=body.currency,
        )
        found = await self._partners.check_products(request)
        partner = require(found.partner)
        basket = CheckedBasket(
            partner=OrderPartner(id=partner.id, title=partner.title, brand=partner.brand),
            items=[
                OrderItem(product_id=item.product_id, title=item.title, quantity=item.quantity, price=item.price)
                for item in found.items
            ],
            total_amount=found.total_amount,
            currency=found.currency,
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
            total_amount=found.total_amount,
            currency=found.currency,
            partner=convert.partner_summary(partner),
            items=[convert.priced_item(item) for item in found.items],
        )
        return Response(check, {"Location": f"/api/v1/order-checks/{check_id}"})

    async def confirm_order(
        self, *, principal: Principal, body: ConfirmOrderRequest, idempotency_key: str | None = None
    ) -> Response[ConfirmedOrder]:
        """Makes the order. Without the check, only one that was made of it before can be found."""
        basket, away = await self._load_basket(body.check_id, principal.user_id)
        request = CreateOrderRequest(
            check_id=body.check_id, basket=basket, idempotency_key=idempotency_key, cache_unavailable=away
        )
        created = await self._orders.create_order(request)
        order = convert.order(require(created.order))
        confirmed = ConfirmedOrder(order=order, payment=convert.payment_instructions(require(created.payment)))
        return Response(confirmed, {"Location": f"/api/v1/orders/{order.id}"}, replayed=created.replayed)

    async def _load_basket(self, check_id: str, user_id: str) -> tuple[CheckedBasket | None, bool]:
        """What the cache holds, and whether it cannot be asked."""
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
        """The orders that exist for the user."""
        wanted = None if status is None else OrderStatusMessage[status.name.upper()]
        request = ListOrdersRequest(page_size=page_size, page_token=page_token or "", status=wanted)
        return await self._orders.list_orders(request, pages.order_page)

    async def get_order(self, *, principal: Principal, order_id: str) -> Order:
        """One order."""
        answer = await self._orders.get_order(GetOrderRequest(order_id=order_id))
        return convert.order(require(answer.order))

    async def get_order_history(
        self, *, principal: Principal, order_id: str, page_size: int = 20, page_token: str | None = None
    ) -> HistoryPage:
        """What happened to an order."""
        request = GetOrderHistoryRequest(order_id=order_id, page_size=page_size, page_token=page_token or "")
        return await self._orders.get_order_history(request, pages.history_page)

    async def cancel_order(self, *, principal: Principal, order_id: str, body: Cancellation) -> Order:
        """Gives an order up."""
        request = CancelOrderRequest(order_id=order_id, reason=unset_to_none(body.reason))
        answer = await self._orders.cancel_order(request)
        return convert.order(require(answer.order))

    async def watch_order(
        self, *, principal: Principal, order_id: str, last_event_id: str | None = None
    ) -> AsyncIterator[Event[OrderEvent]]:
        """Follows an order. What is no version is taken for none."""
        seen = last_event_id or ""
        after = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < MAX_VERSION_DIGITS else None
        request = WatchOrderRequest(order_id=order_id, after_version=after)
        told = cast(AsyncGenerator[WatchOrderResponse], self._orders.watch_order(request))
        async with aclosing(told):
            async for step in told:
                event = OrderEvent(order_id=order_id, status=convert.ORDER_STATUS[step.status], at=require(step.at))
                yield Event(str(step.version), event)


class Deliveries(DeliveriesHandler):
    """The operations tagged `deliveries`."""

    def __init__(self, orders: OrdersStub) -> None:
        self._orders = orders

    async def list_available_deliveries(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> DeliveryPage:
        """Orders that wait for a deliverer."""
        request = ListAvailableDeliveriesRequest(page_size=page_size, page_token=page_token or "")
        return await self._orders.list_available_deliveries(request, pages.delivery_page)

    async def assign_order(self, *, principal: Principal, order_id: str) -> Order:
        """Takes an order."""
        answer = await self._orders.assign_order(AssignOrderRequest(order_id=order_id))
        return convert.order(require(answer.order))

    async def complete_delivery(self, *, principal: Principal, order_id: str) -> Order:
        """Hands an order over."""
        answer = await self._orders.complete_order(CompleteOrderRequest(order_id=order_id))
        return convert.order(require(answer.order))


def _reject_duplicate_items(body: CheckOrderRequest) -> None:
    """A basket names no product twice, which JSON Schema cannot say."""
    seen: set[int] = set()
    repeats = []
    for index, item in enumerate(body.items):
        if item.product_id in seen:
            repeats.append(FieldError(f"/items/{index}/product_id", "is in the basket already"))
        seen.add(item.product_id)
    if repeats:
        raise ApiError(Reason.INVALID_REQUEST, errors=repeats)
