"""REST handlers of order checks, order confirmation and order events."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from msgspec import UNSET

from generated.problems import Reason
from generated.proto.delivery.orders import v1
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1 import CheckProductsRequest, CheckProductsResponse
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert, requests
from generated.rest.delivery.forwarding_handlers import ForwardingOrdersHandler
from generated.rest.delivery.models import (
    CheckOrderRequest,
    ConfirmedOrder,
    ConfirmOrderRequest,
    OrderCheck,
    OrderEvent,
    PartnerSummary,
    PricedItem,
)
from services.gateway.usecases import order_checks
from services.gateway.usecases.active_banks import ActiveBanks
from services.gateway.usecases.order_checks import OrderCheckCache
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.principal import Principal
from services.runtime.rest.types import Event, Response, require, unset_to_none

MAX_VERSION_DIGITS = 19
"""Upper bound, exclusive, of the digits of an order version."""


POSITION_EVENT = "deliverer_position"
"""Name of the events with a position, which clients that do not know it ignore. Status changes have no name."""


class Orders(ForwardingOrdersHandler):
    """Operations tagged `orders`."""

    def __init__(self, orders: OrdersStub, partners: PartnersStub, check_cache: OrderCheckCache, clock: Clock) -> None:
        super().__init__(orders)
        self._partners = partners
        self._check_cache = check_cache
        self._clock = clock
        self.active_banks = ActiveBanks(orders)

    async def check_order(self, *, principal: Principal, body: CheckOrderRequest) -> Response[OrderCheck]:
        """Check the basket against the partner's prices and cache the result."""
        _reject_duplicate_items(body)
        request = CheckProductsRequest(
            partner_id=body.partner_id,
            items=[requests.to_basket_item(item) for item in body.items],
            total_amount=body.total_amount,
            currency=body.currency,
            tip_amount=body.tip_amount,
        )
        checked = await self._partners.check_products(request)
        await self.active_banks.check(body.bank_id)
        basket = _to_basket(body, checked)
        check_id = await order_checks.save_check(self._check_cache, self._clock, principal.user_id, basket)
        return Response(_to_order_check(check_id, basket), {"Location": f"/api/v1/order-checks/{check_id}"})

    async def get_order_check(self, *, principal: Principal, check_id: str) -> OrderCheck:
        """Return an order check that has not expired."""
        basket = await order_checks.get_basket(self._check_cache, self._clock, check_id, principal.user_id)
        return _to_order_check(check_id, basket)

    async def confirm_order(
        self, *, principal: Principal, body: ConfirmOrderRequest, idempotency_key: str | None = None
    ) -> Response[ConfirmedOrder]:
        """Create the order of a check at its prices, if the partner and the products are still available.

        Without the check, or after a rejection, only an order already created from it is returned.
        """
        confirmation = await order_checks.confirm_check(
            self._check_cache, self._partners, self._clock, body.check_id, principal.user_id
        )
        request = v1.CreateOrderRequest(
            check_id=body.check_id,
            basket=confirmation.basket,
            idempotency_key=idempotency_key,
            cache_unavailable=confirmation.cache_unavailable,
            rejection=confirmation.rejection,
            return_url=unset_to_none(body.return_url),
        )
        created = await self._orders.create_order(request)
        confirmed = convert.confirmed_order(created)
        return Response(confirmed, {"Location": f"/api/v1/orders/{confirmed.order.id}"}, replayed=created.replayed)

    async def watch_order(
        self, *, principal: Principal, order_id: str, last_event_id: str | None = None
    ) -> AsyncIterator[Event[OrderEvent]]:
        """Stream the status changes of an order and the positions of its deliverer.

        An event id that is not a version is ignored.
        """
        event_id = last_event_id or ""
        is_version = event_id.isascii() and event_id.isdigit() and len(event_id) < MAX_VERSION_DIGITS
        request = v1.WatchOrderRequest(order_id=order_id, after_version=int(event_id) if is_version else None)
        changes = cast(AsyncGenerator[v1.WatchOrderResponse], self._orders.watch_order(request))
        async with aclosing(changes):
            async for change in changes:
                event = OrderEvent(order_id=order_id, status=convert.ORDER_STATUS[change.status], at=require(change.at))
                if change.deliverer_position is None:
                    yield Event(str(change.version), event)
                else:
                    event.deliverer_position = convert.coordinates(change.deliverer_position)
                    yield Event(str(change.version), event, POSITION_EVENT)


def _to_order_check(check_id: str, basket: v1.CheckedBasket) -> OrderCheck:
    partner = require(basket.partner)
    return OrderCheck(
        check_id=check_id,
        expires_at=require(basket.expires_at),
        total_amount=basket.total_amount,
        delivery_fee=basket.delivery_fee,
        tip_amount=basket.tip_amount,
        currency=basket.currency,
        partner=PartnerSummary(id=partner.id, title=partner.title, brand=partner.brand),
        items=[
            PricedItem(product_id=item.product_id, title=item.title, quantity=item.quantity, price=item.price)
            for item in basket.items
        ],
    )


def _to_basket(body: CheckOrderRequest, checked: CheckProductsResponse) -> v1.CheckedBasket:
    """Return the checked basket with the delivery data that the customer entered."""
    partner = require(checked.partner)
    return v1.CheckedBasket(
        partner=v1.OrderPartner(id=partner.id, title=partner.title, brand=partner.brand),
        items=[
            v1.OrderItem(product_id=item.product_id, title=item.title, quantity=item.quantity, price=item.price)
            for item in checked.items
        ],
        total_amount=checked.total_amount,
        currency=checked.currency,
        bank_id=body.bank_id,
        delivery_address=body.delivery_address,
        customer_name=unset_to_none(body.customer_name),
        customer_phone=unset_to_none(body.customer_phone),
        address=None if body.address is UNSET else requests.to_check_order_address(body.address),
        note=unset_to_none(body.note),
        tip_amount=body.tip_amount,
        delivery_fee=checked.delivery_fee,
    )


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
