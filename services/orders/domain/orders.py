"""The rules of orders: where an order may go, who moves it, and who may see it. No I/O, no framework."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from generated.problems import Reason
from services.runtime.core.errors import ApiError


class OrderStatus(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    PAID = "paid"
    READY = "ready"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PENDING: frozenset({OrderStatus.PAID, OrderStatus.CANCELLED, OrderStatus.EXPIRED}),
    OrderStatus.PAID: frozenset({OrderStatus.READY, OrderStatus.CANCELLED}),
    OrderStatus.READY: frozenset({OrderStatus.DELIVERING, OrderStatus.CANCELLED}),
    OrderStatus.DELIVERING: frozenset({OrderStatus.DELIVERED}),
    OrderStatus.DELIVERED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
    OrderStatus.EXPIRED: frozenset(),
}
"""An order's whole life. Whatever is not here is refused and changes nothing."""

FINAL_STATUSES = frozenset(status for status, following in TRANSITIONS.items() if not following)
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
    """A payment system customers are sent to. Secrets are encrypted; the old one is good until its time."""

    id: str
    title: str
    webcheckout_url: str
    api_url: str
    active: bool
    webhook_secret: bytes
    old_secret: bytes | None = None
    old_secret_until: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to an order; `version` is the order's after it."""

    order_id: str
    version: int
    status: OrderStatus
    at: datetime
    actor: str
    note: str | None = None


def create_order(order_id: str, customer_id: str, basket: Basket, at: datetime) -> Order:
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


def transition(order: Order, status: OrderStatus, at: datetime) -> Order:
    """The order one step on. Refuses ORDER_STATE_CONFLICT for a step that is none of `NEXT`."""
    if status not in TRANSITIONS[order.status]:
        raise ApiError(Reason.ORDER_STATE_CONFLICT, f"The order is {order.status} and cannot become {status}.")
    return replace(order, status=status, version=order.version + 1, updated_at=at)


def mark_ready(order: Order, pickup_address: str, at: datetime) -> Order:
    """The order, waiting for a deliverer."""
    return replace(transition(order, OrderStatus.READY, at), pickup_address=pickup_address)


def assign(order: Order, deliverer_id: str, at: datetime) -> Order:
    """The order, on its way; the deliverer who has it may ask again and changes nothing."""
    if order.deliverer_id == deliverer_id:
        return order
    return replace(transition(order, OrderStatus.DELIVERING, at), deliverer_id=deliverer_id)


def complete(order: Order, deliverer_id: str, at: datetime) -> Order:
    """The order at the door. Refuses ORDER_NOT_FOUND to all but its deliverer, who may say so again."""
    if order.deliverer_id != deliverer_id:
        raise ApiError(Reason.ORDER_NOT_FOUND)
    if order.status is OrderStatus.DELIVERED:
        return order
    return transition(order, OrderStatus.DELIVERED, at)


def cancel(order: Order, user_id: str, role: str | None, reason: str | None, at: datetime) -> Order:
    """The order, given up: by its customer until the partner is done, by an admin until it is on its way.

    Refuses ORDER_NOT_FOUND to all others, and ORDER_STATE_CONFLICT.
    """
    if role != "admin":
        if order.customer_id != user_id:
            raise ApiError(Reason.ORDER_NOT_FOUND)
        if order.status is OrderStatus.READY:
            raise ApiError(Reason.ORDER_STATE_CONFLICT, "The order is ready; only an admin can cancel it now.")
    return replace(transition(order, OrderStatus.CANCELLED, at), cancel_reason=reason)


def cancel_for_unreachable_partner(order: Order, reason: str, at: datetime) -> Order:
    """The order whose partner never took it."""
    return replace(
        transition(order, OrderStatus.CANCELLED, at), cancel_reason=f"The partner cannot be reached: {reason}"
    )


def expire(order: Order, at: datetime) -> Order:
    """The order that nobody has paid in time."""
    return transition(order, OrderStatus.EXPIRED, at)


def is_visible_to(order: Order, user_id: str, role: str | None) -> bool:
    """Whether the order exists for this user: its customer, its deliverer, an admin."""
    return role == "admin" or user_id in (order.customer_id, order.deliverer_id)
