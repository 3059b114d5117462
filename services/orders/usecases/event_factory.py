"""Factory of the events that orders publishes."""

from dataclasses import replace
from datetime import datetime
from typing import Any

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
from services.orders.domain import payments
from services.orders.domain.orders import HistoryEntry, Order, OrderStatus
from services.orders.domain.payments import Payment, PaymentRecord, PaymentResult, Refund
from services.runtime.core.money import format_amount

REFUND_FAILED = "REFUND_FAILED"
"""Reason of the alert about a failed refund."""


def build_order_snapshot(order: Order, actor: str) -> OrderSnapshot:
    """Return the order's fields that every order event contains, as of its last change."""
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
    """Rebuild the event of a past transition, identical to the original one, from the order's current state."""
    snapshot = build_order_snapshot(
        replace(current, version=transition.version, updated_at=transition.at), transition.actor
    )
    match transition.status:
        case OrderStatus.PENDING:
            return OrderCreated(order=snapshot)
        case OrderStatus.PAID:
            return OrderPaid(
                order=snapshot,
                payment_id=current.payment_id or "",
                items=_build_order_lines(current),
                note=current.note,
            )
        case OrderStatus.READY:
            return OrderReady(order=snapshot, pickup_address=current.pickup_address or "")
        case OrderStatus.DELIVERING:
            return OrderAssigned(order=snapshot, deliverer_id=current.deliverer_id or "")
        case OrderStatus.DELIVERED:
            return OrderDelivered(order=snapshot, deliverer_id=current.deliverer_id or "")
        case OrderStatus.CANCELLED:
            return OrderCancelled(order=snapshot, reason=current.cancel_reason)
        case OrderStatus.EXPIRED:
            return OrderExpired(order=snapshot)


def build_payment_events(payment: Payment, result: PaymentResult) -> list[OrdersEvent]:
    """Return the events about a payment, its order and its refund."""
    events: list[OrdersEvent] = [build_payment_recorded(result.record)]
    if result.changed_order is not None and result.record.outcome.is_paid:
        events.append(build_order_paid(result.changed_order, payment))
    if result.refund is not None:
        events.append(build_refund_requested(result.refund))
    if result.record.outcome is payments.PaymentOutcome.UNKNOWN_ORDER:
        events.append(build_unknown_order_alert(result.record))
    return events


def build_order_paid(after: Order, payment: Payment) -> OrderPaid:
    """Return the event of a paid order, with the lines that the partner prepares."""
    return OrderPaid(
        order=build_order_snapshot(after, f"bank:{payment.bank_id}"),
        payment_id=payment.payment_id,
        items=_build_order_lines(after),
        note=after.note,
    )


def _build_order_lines(order: Order) -> list[OrderLine]:
    return [OrderLine(product_id=item.product_id, title=item.title, quantity=item.quantity) for item in order.items]


def build_payment_recorded(record: PaymentRecord) -> PaymentRecorded:
    """Return the event of a recorded payment of any outcome."""
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


def _build_refund_fields(refund: Refund) -> dict[str, Any]:
    return {
        "refund_id": refund.id,
        "bank_id": refund.bank_id,
        "payment_id": refund.payment_id,
        "order_id": refund.order_id,
        "amount": refund.amount,
        "currency": refund.currency,
    }


def build_refund_requested(refund: Refund) -> RefundRequested:
    """Return the event of a requested refund."""
    return RefundRequested(**_build_refund_fields(refund))


def build_refunded(refund: Refund, customer_id: str | None, at: datetime) -> Refunded:
    """Return the event of a refund that the bank has made."""
    return Refunded(**_build_refund_fields(refund), at=at, customer_id=customer_id)


def build_refund_failed(refund: Refund, reason: str, at: datetime) -> RefundFailed:
    """Return the event of a refund that the bank rejected, or whose last attempt failed."""
    return RefundFailed(**_build_refund_fields(refund), reason=reason, at=at)


def format_refund_subject(refund: Refund) -> str:
    """Return the subject of alerts about a refund."""
    return f"refund:{refund.id}"


def build_refund_alert(refund: Refund, response: str, at: datetime) -> SystemAlert:
    """Return the alert about a failed refund."""
    return SystemAlert(
        subject=format_refund_subject(refund),
        reason=REFUND_FAILED,
        detail=(
            f"The refund {refund.id} of {format_amount(refund.amount, refund.currency)} to the customer of order"
            f" {refund.order_id} (payment {refund.payment_id} of bank {refund.bank_id}) failed: {response}."
        ),
        at=at,
    )


def build_order_alert(order_id: str, reason: str, detail: str, at: datetime) -> SystemAlert:
    """Return an alert about an order."""
    return SystemAlert(subject=f"order:{order_id}", reason=reason, detail=detail, at=at)


def build_duplicate_payment_alert(payment: Payment, at: datetime) -> SystemAlert:
    """Return the alert about a payment id that a bank has reported for another order or amount, or as failed later."""
    result = "succeeded" if payment.succeeded else "failed"
    return SystemAlert(
        subject=f"payment:{payment.bank_id}:{payment.payment_id}",
        reason="PAYMENT_ID_REUSED",
        detail=(
            f"The bank reported the payment again as {result}, with {format_amount(payment.amount, payment.currency)}"
            f" for order {payment.order_id}; the report is rejected and nothing is refunded."
        ),
        at=at,
    )


def build_lost_payment_alert(payment: Payment, at: datetime) -> SystemAlert:
    """Return the alert about a payment that only the bank has recorded."""
    return SystemAlert(
        subject=f"payment:{payment.bank_id}:{payment.payment_id}",
        reason="PAYMENT_NOT_RECORDED",
        detail=(
            f"The bank has captured {format_amount(payment.amount, payment.currency)} for order {payment.order_id}, but"
            " the payment is not recorded: its callback was not received, or the database was restored from a backup."
        ),
        at=at,
    )


def build_unknown_order_alert(record: PaymentRecord) -> SystemAlert:
    """Return the alert about a payment for an unknown order."""
    amount = format_amount(record.amount, record.currency)
    return SystemAlert(
        subject=f"payment:{record.bank_id}:{record.payment_id}",
        reason="PAYMENT_FOR_UNKNOWN_ORDER",
        detail=f"A payment of {amount} for an unknown order was received; it is refunded.",
        at=record.at,
    )
