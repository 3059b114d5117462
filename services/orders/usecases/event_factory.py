"""What orders tell the other services: orders and payments as events say them."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from generated.events import OrdersEvent
from generated.proto.delivery.events.v1 import (
    OrderAssigned,
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderLine,
    OrderPaid,
    OrderReady,
    OrderSnapshot,
    PaymentOutcome,
    PaymentRecorded,
    Refunded,
    RefundFailed,
    RefundRequested,
    SystemAlert,
)
from services.orders.domain.orders import HistoryEntry, Order, OrderStatus
from services.orders.domain.payments import Payment, PaymentRecord, Refund

_EVENT_ID_NAMESPACE = UUID("6c3f2a51-9a0b-4d0e-8f57-6f2b1c7d9e40")


def derive_event_id(event: OrdersEvent) -> str | None:
    """The same for the same event, so that one which has to be said again is known to whoever took it before.

    None for events that are never said again.
    """
    match event:
        case RefundRequested() | Refunded() | RefundFailed():
            of = event.refund_id
        case PaymentRecorded() | SystemAlert():
            return None
        case _:
            if event.order is None:
                return None
            of = f"{event.order.order_id}:{event.order.version}"
    return str(uuid5(_EVENT_ID_NAMESPACE, f"{type(event).__name__}:{of}"))


def build_order_snapshot(order: Order, actor: str) -> OrderSnapshot:
    """What every event of an order says, as of its last change."""
    return OrderSnapshot(
        order_id=order.id,
        version=order.version,
        customer_id=order.customer_id,
        partner_id=order.partner.id,
        partner_title=order.partner.title,
        total_amount=order.total_amount,
        currency=order.currency,
        actor=actor,
        at=order.updated_at,
    )


def rebuild_event(current: Order, transition: HistoryEntry) -> OrdersEvent:
    """The event of a step that the order took some time ago, as it was said or should have been."""
    then = build_order_snapshot(
        replace(current, version=transition.version, updated_at=transition.at), transition.actor
    )
    match transition.status:
        case OrderStatus.PENDING:
            return OrderCreated(order=then)
        case OrderStatus.PAID:
            return OrderPaid(order=then, payment_id=current.payment_id or "", items=_build_order_lines(current))
        case OrderStatus.READY:
            return OrderReady(order=then, pickup_address=current.pickup_address or "")
        case OrderStatus.DELIVERING:
            return OrderAssigned(order=then, deliverer_id=current.deliverer_id or "")
        case OrderStatus.DELIVERED:
            return OrderDelivered(order=then, deliverer_id=current.deliverer_id or "")
        case OrderStatus.CANCELLED:
            return OrderCancelled(order=then, reason=current.cancel_reason)
        case OrderStatus.EXPIRED:
            return OrderExpired(order=then)


def build_order_paid(after: Order, payment: Payment) -> OrderPaid:
    """The order was paid; the partner is to prepare these lines."""
    return OrderPaid(
        order=build_order_snapshot(after, f"bank:{payment.bank_id}"),
        payment_id=payment.payment_id,
        items=_build_order_lines(after),
    )


def _build_order_lines(order: Order) -> list[OrderLine]:
    return [OrderLine(product_id=item.product_id, title=item.title, quantity=item.quantity) for item in order.items]


def build_payment_recorded(record: PaymentRecord) -> PaymentRecorded:
    """A callback was taken, whatever came of it."""
    return PaymentRecorded(
        bank_id=record.bank_id,
        payment_id=record.payment_id,
        order_id=record.order_id,
        amount=record.amount,
        currency=record.currency,
        outcome=PaymentOutcome[record.outcome.name],
        refund_amount=record.refund_amount,
        at=record.at,
    )


def _refund_fields(refund: Refund) -> dict[str, Any]:
    return {
        "refund_id": refund.id,
        "bank_id": refund.bank_id,
        "payment_id": refund.payment_id,
        "order_id": refund.order_id,
        "amount": refund.amount,
        "currency": refund.currency,
    }


def build_refund_requested(refund: Refund) -> RefundRequested:
    """The bank is to pay back."""
    return RefundRequested(**_refund_fields(refund))


def build_refunded(refund: Refund, customer_id: str | None, at: datetime) -> Refunded:
    """The bank has paid back."""
    return Refunded(**_refund_fields(refund), at=at, customer_id=customer_id)


def build_refund_failed(refund: Refund, reason: str, at: datetime) -> RefundFailed:
    """The bank has refused, or was asked for the last time."""
    return RefundFailed(**_refund_fields(refund), reason=reason, at=at)


def build_refund_alert(refund: Refund, response: str, at: datetime) -> SystemAlert:
    """Somebody has to see that the money goes back."""
    return SystemAlert(
        subject=f"refund:{refund.id}",
        reason="REFUND_FAILED",
        detail=f"{refund.amount} {refund.currency} of payment {refund.payment_id} did not go back: {response}.",
        at=at,
    )


def build_order_alert(order_id: str, reason: str, detail: str, at: datetime) -> SystemAlert:
    """Somebody has to look at an order."""
    return SystemAlert(subject=f"order:{order_id}", reason=reason, detail=detail, at=at)


def build_unknown_order_alert(record: PaymentRecord) -> SystemAlert:
    """Money came for an order that is not there."""
    return SystemAlert(
        subject=f"payment:{record.bank_id}:{record.payment_id}",
        reason="PAYMENT_FOR_UNKNOWN_ORDER",
        detail=f"{record.amount} {record.currency} came for an order that is not there; it goes back.",
        at=record.at,
    )
