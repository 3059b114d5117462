"""The rules of orders: where an order may go, what a payment does to it, and who may see it. No I/O, no framework."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from generated.problems import Reason
from services.runtime.refusal import Refusal


class OrderStatus(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    PAID = "paid"
    READY = "ready"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


NEXT: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PENDING: frozenset({OrderStatus.PAID, OrderStatus.CANCELLED, OrderStatus.EXPIRED}),
    OrderStatus.PAID: frozenset({OrderStatus.READY, OrderStatus.CANCELLED}),
    OrderStatus.READY: frozenset({OrderStatus.DELIVERING, OrderStatus.CANCELLED}),
    OrderStatus.DELIVERING: frozenset({OrderStatus.DELIVERED}),
    OrderStatus.DELIVERED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
    OrderStatus.EXPIRED: frozenset(),
}
"""An order's whole life. Whatever is not here is refused and changes nothing."""

FINAL = frozenset(status for status, following in NEXT.items() if not following)
"""Where an order's life is over."""


class RefundStatus(StrEnum):
    """Where the money that is to go back stands."""

    NONE = "none"
    REQUESTED = "requested"
    REFUNDED = "refunded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Partner:
    """What an order keeps of its partner."""

    id: int
    title: str
    brand: str


@dataclass(frozen=True, slots=True)
class Item:
    """A line of an order; `price` is in minor units, of one piece."""

    product_id: int
    title: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Basket:
    """What a check found, and what the customer said along with it."""

    partner: Partner
    items: tuple[Item, ...]
    total_amount: int
    currency: str
    bank_id: str
    delivery_address: str
    customer_name: str | None
    customer_phone: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order. Amounts are in minor units of `currency`; `version` grows by one with every change."""

    id: str
    status: OrderStatus
    customer_id: str
    customer_name: str | None
    customer_phone: str | None
    partner: Partner
    items: tuple[Item, ...]
    total_amount: int
    currency: str
    paid_amount: int
    refunded_amount: int
    refund_status: RefundStatus
    bank_id: str
    payment_id: str | None
    delivery_address: str
    pickup_address: str | None
    deliverer_id: str | None
    cancel_reason: str | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Bank:
    """A payment system customers are sent to. The secret is encrypted."""

    id: str
    title: str
    webcheckout_url: str
    api_url: str
    active: bool
    webhook_secret: bytes


class Outcome(StrEnum):
    """What came of a payment callback."""

    PAID = "paid"
    OVERPAID = "overpaid"
    INSUFFICIENT = "insufficient"
    FAILED = "failed"
    CONFLICT = "conflict"
    UNKNOWN_ORDER = "unknown_order"


REFUSED: Mapping[Outcome, Reason] = {
    Outcome.INSUFFICIENT: Reason.PAYMENT_INSUFFICIENT,
    Outcome.CONFLICT: Reason.PAYMENT_CONFLICT,
    Outcome.UNKNOWN_ORDER: Reason.ORDER_NOT_FOUND,
}
"""The outcomes that a bank is told as refusals; it need not try again, since the payment is recorded."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What a bank says about one payment; `amount` is in minor units."""

    bank_id: str
    payment_id: str
    order_id: str
    amount: int
    currency: str
    succeeded: bool


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to an order; `version` is the order's after it."""

    order_id: str
    version: int
    status: OrderStatus
    at: datetime
    actor: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """A payment callback as it was taken; amounts in minor units."""

    bank_id: str
    payment_id: str
    order_id: str
    amount: int
    currency: str
    outcome: Outcome
    refund_amount: int
    at: datetime


def place(order_id: str, customer_id: str, basket: Basket, at: datetime) -> Order:
    """A new order, waiting for its payment."""
    return Order(
        id=order_id,
        status=OrderStatus.PENDING,
        customer_id=customer_id,
        customer_name=basket.customer_name,
        customer_phone=basket.customer_phone,
        partner=basket.partner,
        items=basket.items,
        total_amount=basket.total_amount,
        currency=basket.currency,
        paid_amount=0,
        refunded_amount=0,
        refund_status=RefundStatus.NONE,
        bank_id=basket.bank_id,
        payment_id=None,
        delivery_address=basket.delivery_address,
        pickup_address=None,
        deliverer_id=None,
        cancel_reason=None,
        version=1,
        created_at=at,
        updated_at=at,
    )


def move(order: Order, status: OrderStatus, at: datetime) -> Order:
    """The order one step on. Refuses ORDER_STATE_CONFLICT for a step that is none of `NEXT`."""
    if status not in NEXT[order.status]:
        raise Refusal(Reason.ORDER_STATE_CONFLICT, f"The order is {order.status} and cannot become {status}.")
    return replace(order, status=status, version=order.version + 1, updated_at=at)


def judge(order: Order | None, payment: Payment) -> tuple[Outcome, int]:
    """What comes of a payment for the order it names, and how much of it goes back, in minor units.

    `order` is None when there is none by that id. Captured money pays the order or goes back; none is kept silently.
    """
    if not payment.succeeded:
        return Outcome.FAILED, 0
    if order is None or order.bank_id != payment.bank_id:
        return Outcome.UNKNOWN_ORDER, payment.amount
    if order.status is not OrderStatus.PENDING:
        return Outcome.CONFLICT, payment.amount
    if payment.currency != order.currency or payment.amount < order.total_amount:
        return Outcome.INSUFFICIENT, payment.amount
    excess = payment.amount - order.total_amount
    return (Outcome.OVERPAID if excess else Outcome.PAID), excess


def apply(order: Order, payment: Payment, outcome: Outcome, refund: int, at: datetime) -> Order:
    """The order after a payment that was judged; unchanged by one that captured nothing in its currency."""
    if not payment.succeeded or outcome is Outcome.UNKNOWN_ORDER or payment.currency != order.currency:
        return order
    paid = outcome in (Outcome.PAID, Outcome.OVERPAID)
    changed = move(order, OrderStatus.PAID, at) if paid else replace(order, version=order.version + 1, updated_at=at)
    return replace(
        changed,
        paid_amount=order.paid_amount + payment.amount,
        payment_id=payment.payment_id if paid else order.payment_id,
        refund_status=RefundStatus.REQUESTED if refund else order.refund_status,
    )


def ready(order: Order, pickup_address: str, at: datetime) -> Order:
    """The order, waiting for a deliverer."""
    return replace(move(order, OrderStatus.READY, at), pickup_address=pickup_address)


def assign(order: Order, deliverer_id: str, at: datetime) -> Order:
    """The order, on its way; the deliverer who has it may ask again and changes nothing."""
    if order.deliverer_id == deliverer_id:
        return order
    return replace(move(order, OrderStatus.DELIVERING, at), deliverer_id=deliverer_id)


def complete(order: Order, deliverer_id: str, at: datetime) -> Order:
    """The order at the door. Refuses ORDER_NOT_FOUND to all but its deliverer, who may say so again."""
    if order.deliverer_id != deliverer_id:
        raise Refusal(Reason.ORDER_NOT_FOUND)
    if order.status is OrderStatus.DELIVERED:
        return order
    return move(order, OrderStatus.DELIVERED, at)


def visible(order: Order, user_id: str, role: str | None) -> bool:
    """Whether the order exists for this user: its customer, its deliverer, an admin."""
    return role == "admin" or user_id in (order.customer_id, order.deliverer_id)
