"""State machine of orders, and the permissions on them. No I/O, no framework."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from generated.problems import Reason
from services.orders.domain.addresses import Address
from services.runtime.core.errors import ApiError


class OrderStatus(StrEnum):
    """Status of an order."""

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
"""Permitted status transitions; any other raises an error and changes nothing."""

FINAL_STATUSES = frozenset(status for status, successors in TRANSITIONS.items() if not successors)
"""Statuses without a successor."""


class RefundStatus(StrEnum):
    """Status of an order's refunds, or of one refund."""

    NONE = "none"
    REQUESTED = "requested"
    REFUNDED = "refunded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Partner:
    """Snapshot of the partner, as of the order's creation."""

    id: int
    title: str
    brand: str


@dataclass(frozen=True, slots=True)
class Item:
    """Order line; `price` is the unit price in minor units."""

    product_id: int
    title: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Basket:
    """Checked basket: priced lines, and the delivery data that the customer entered."""

    partner: Partner
    items: tuple[Item, ...]
    total_amount: int
    currency: str
    bank_id: str
    delivery_address: str
    customer_name: str | None
    customer_phone: str | None
    address: Address | None = None
    note: str | None = None
    tip_amount: int = 0
    delivery_fee: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """Order. Amounts are in minor units of `currency`; `version` increases by one with every change.

    `address` contains the parts of `delivery_address`; `note` is a message to the partner. The total contains
    the tip and the delivery fee.
    """

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
    address: Address | None = None
    note: str | None = None
    tip_amount: int = 0
    delivery_fee: int = 0


@dataclass(frozen=True, slots=True)
class Bank:
    """Payment system. Its webhook secrets are encrypted; `webhook_secrets` defines which are valid."""

    id: str
    title: str
    webcheckout_url: str
    api_url: str
    active: bool
    webhook_secret: bytes
    old_secret: bytes | None = None
    old_secret_until: datetime | None = None
    version: int = 1
    older_secrets: bytes | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Change of an order; `version` is the order's version after it."""

    order_id: str
    version: int
    status: OrderStatus
    at: datetime
    actor: str
    note: str | None = None


def create_order(order_id: str, customer_id: str, basket: Basket, at: datetime) -> Order:
    """Return a new pending order."""
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
        address=basket.address,
        note=basket.note,
        tip_amount=basket.tip_amount,
        delivery_fee=basket.delivery_fee,
    )


def transition(order: Order, status: OrderStatus, at: datetime) -> Order:
    """Return the order in its next status.

    Raises ApiError: ORDER_STATE_CONFLICT for a transition that is not in TRANSITIONS.
    """
    if status not in TRANSITIONS[order.status]:
        raise ApiError(Reason.ORDER_STATE_CONFLICT, members={"order_status": order.status.value})
    return replace(order, status=status, version=order.version + 1, updated_at=at)


def mark_ready(order: Order, pickup_address: str, at: datetime) -> Order:
    """Return the order as ready for pickup.

    Raises ApiError: ORDER_STATE_CONFLICT.
    """
    return replace(transition(order, OrderStatus.READY, at), pickup_address=pickup_address)


def assign(order: Order, deliverer_id: str, at: datetime) -> Order:
    """Return the order as assigned to a deliverer. Idempotent for the same deliverer.

    Raises ApiError: ORDER_STATE_CONFLICT.
    """
    if order.deliverer_id == deliverer_id:
        return order
    return replace(transition(order, OrderStatus.DELIVERING, at), deliverer_id=deliverer_id)


def complete(order: Order, deliverer_id: str, at: datetime) -> Order:
    """Return the order as delivered. Idempotent for its deliverer; ORDER_NOT_FOUND for any other.

    Raises ApiError: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
    """
    if order.deliverer_id != deliverer_id:
        raise ApiError(Reason.ORDER_NOT_FOUND)
    if order.status is OrderStatus.DELIVERED:
        return order
    return transition(order, OrderStatus.DELIVERED, at)


def cancel(order: Order, user_id: str, role: str | None, reason: str | None, at: datetime) -> Order:
    """Return the order as cancelled: by its customer until it is ready, by an admin until it is assigned.

    Raises ApiError: ORDER_NOT_FOUND for any other caller, ORDER_STATE_CONFLICT.
    """
    if role != "admin":
        if order.customer_id != user_id:
            raise ApiError(Reason.ORDER_NOT_FOUND)
        if order.status is OrderStatus.READY:
            raise ApiError(Reason.ORDER_STATE_CONFLICT, members={"order_status": order.status.value})
    return replace(transition(order, OrderStatus.CANCELLED, at), cancel_reason=reason)


def cancel_for_unreachable_partner(order: Order, reason: str, at: datetime) -> Order:
    """Return the order as cancelled because its partner could not be reached.

    Raises ApiError: ORDER_STATE_CONFLICT.
    """
    return replace(
        transition(order, OrderStatus.CANCELLED, at), cancel_reason=f"The partner cannot be reached: {reason}"
    )


def expire(order: Order, at: datetime) -> Order:
    """Return the order as expired.

    Raises ApiError: ORDER_STATE_CONFLICT.
    """
    return transition(order, OrderStatus.EXPIRED, at)


def is_visible_to(order: Order, user_id: str, role: str | None) -> bool:
    """Return whether the user may see the order: its customer, its deliverer or an admin."""
    return role == "admin" or user_id in (order.customer_id, order.deliverer_id)
