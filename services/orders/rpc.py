"""The gRPC door of orders: messages in, use case, messages out."""

from collections.abc import Callable
from dataclasses import asdict, fields
from urllib.parse import urlencode

from generated.problems import Reason
from generated.proto.delivery.orders import v1
from generated.proto.delivery.orders.v1.rpc import OrdersServicer
from services.orders import usecases
from services.orders.domain import Bank, Basket, Item, Order, OrderStatus, Partner
from services.orders.usecases.ports import Documents, Store
from services.runtime.clock import Clock
from services.runtime.principal import Principal
from services.runtime.refusal import FieldError, Refusal
from services.runtime.vault import Vault
from services.runtime.webhooks import SignedRequest


class OrdersRpc(OrdersServicer):
    """Implements the generated servicer."""

    def __init__(
        self, store: Store, documents: Documents, vault: Vault, clock: Clock, new_id: Callable[[], str], public_url: str
    ) -> None:
        self._store = store
        self._documents = documents
        self._vault = vault
        self._clock = clock
        self._new_id = new_id
        self._public_url = public_url

    async def list_banks(self, request: v1.ListBanksRequest) -> v1.ListBanksResponse:
        """A page of active banks."""
        page = await usecases.list_banks(self._store, request.page_size, request.page_token)
        items = [v1.BankSummary(id=bank.id, title=bank.title) for bank in page.items]
        return v1.ListBanksResponse(items=items, next_page_token=page.next_page_token)

    async def create_order(self, request: v1.CreateOrderRequest, principal: Principal) -> v1.CreateOrderResponse:
        """The order, and where to pay it."""
        basket = None if request.basket is None else _basket(request.basket)
        order, bank = await usecases.create_order(
            self._store, self._clock, self._new_id, principal, request.check_id, basket
        )
        return v1.CreateOrderResponse(order=_order(order), payment=self._payment(order, bank))

    async def get_order(self, request: v1.GetOrderRequest, principal: Principal) -> v1.GetOrderResponse:
        """One order."""
        order = await usecases.get_order(self._store, principal, request.order_id)
        return v1.GetOrderResponse(order=_order(order))

    async def list_orders(self, request: v1.ListOrdersRequest, principal: Principal) -> v1.ListOrdersResponse:
        """A page of orders."""
        status = None if request.status is None else _status(request.status)
        page = await usecases.list_orders(self._store, principal, request.page_size, request.page_token, status)
        return v1.ListOrdersResponse(
            items=[_order(order) for order in page.items], next_page_token=page.next_page_token
        )

    async def list_available_deliveries(
        self, request: v1.ListAvailableDeliveriesRequest, principal: Principal
    ) -> v1.ListAvailableDeliveriesResponse:
        """A page of orders that wait for a deliverer."""
        page = await usecases.list_available_deliveries(self._store, request.page_size, request.page_token)
        items = [_order(order) for order in page.items]
        return v1.ListAvailableDeliveriesResponse(items=items, next_page_token=page.next_page_token)

    async def pay_order(self, request: v1.PayOrderRequest) -> v1.PayOrderResponse:
        """The bank's payment is recorded."""
        signed = SignedRequest(request.webhook_id, request.webhook_timestamp, request.webhook_signature, request.body)
        payment_id = await usecases.pay_order(
            self._store, self._vault, self._clock, self._new_id, request.bank_id, signed
        )
        return v1.PayOrderResponse(payment_id=payment_id)

    async def cancel_order(self, request: v1.CancelOrderRequest, principal: Principal) -> v1.CancelOrderResponse:
        """The order is given up."""
        order = await usecases.cancel_order(
            self._store, self._clock, self._new_id, principal, request.order_id, request.reason
        )
        return v1.CancelOrderResponse(order=_order(order))

    async def assign_order(self, request: v1.AssignOrderRequest, principal: Principal) -> v1.AssignOrderResponse:
        """The order is the deliverer's."""
        order = await usecases.assign_order(self._store, self._clock, principal, request.order_id)
        return v1.AssignOrderResponse(order=_order(order))

    async def complete_order(self, request: v1.CompleteOrderRequest, principal: Principal) -> v1.CompleteOrderResponse:
        """The order is delivered."""
        order = await usecases.complete_order(self._store, self._clock, principal, request.order_id)
        return v1.CompleteOrderResponse(order=_order(order))

    async def get_order_history(
        self, request: v1.GetOrderHistoryRequest, principal: Principal
    ) -> v1.GetOrderHistoryResponse:
        """A page of what happened to an order."""
        page = await usecases.get_history(
            self._store, self._documents, principal, request.order_id, request.page_size, request.page_token
        )
        items = [
            v1.HistoryEntry(status=v1.OrderStatus[entry.status.name], at=entry.at, actor=entry.actor, note=entry.note)
            for entry in page.items
        ]
        return v1.GetOrderHistoryResponse(items=items, next_page_token=page.next_page_token)

    def _payment(self, order: Order, bank: Bank) -> v1.PaymentInstructions:
        callback_url = f"{self._public_url}/api/v1/callbacks/payments/{bank.id}"
        query = urlencode(
            {
                "order_id": order.id,
                "amount": order.total_amount,
                "currency": order.currency,
                "callback_url": callback_url,
            }
        )
        return v1.PaymentInstructions(webcheckout_url=f"{bank.webcheckout_url}?{query}", callback_url=callback_url)


def _status(status: v1.OrderStatus) -> OrderStatus:
    """Refuses INVALID_REQUEST for a number that has no name yet."""
    try:
        return OrderStatus[status.name or ""]
    except KeyError as error:
        raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError("status", "is not known")]) from error


def _basket(basket: v1.CheckedBasket) -> Basket:
    partner = basket.partner or v1.OrderPartner()
    return Basket(
        partner=Partner(partner.id, partner.title, partner.brand),
        items=tuple(Item(item.product_id, item.title, item.quantity, item.price) for item in basket.items),
        total_amount=basket.total_amount,
        currency=basket.currency,
        bank_id=basket.bank_id,
        delivery_address=basket.delivery_address,
        customer_name=basket.customer_name,
        customer_phone=basket.customer_phone,
    )


def _order(order: Order) -> v1.Order:
    same = {field.name: getattr(order, field.name) for field in fields(order)}
    different = {
        "status": v1.OrderStatus[order.status.name],
        "refund_status": v1.RefundStatus[order.refund_status.name],
        "partner": v1.OrderPartner(**asdict(order.partner)),
        "items": [v1.OrderItem(**asdict(item)) for item in order.items],
    }
    return v1.Order(**(same | different))
