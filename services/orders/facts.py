"""What orders tell the other services: orders and payments as events say them."""

from datetime import datetime
from typing import Any

from generated.proto.delivery.events.v1 import (
    OrderFacts,
    OrderLine,
    OrderPaid,
    PaymentOutcome,
    PaymentRecorded,
    Refunded,
    RefundFailed,
    RefundRequested,
    SystemAlert,
)
from services.orders.domain import Order
from services.orders.money import Payment, PaymentRecord, Refund


def order(order: Order, actor: str) -> OrderFacts:
    """What every event of an order says, as of its last change."""
    return OrderFacts(
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


def paid(after: Order, payment: Payment) -> OrderPaid:
    """The order was paid; the partner is to prepare these lines."""
    return OrderPaid(
        order=order(after, f"bank:{payment.bank_id}"),
        payment_id=payment.payment_id,
        items=[OrderLine(product_id=item.product_id, title=item.title, quantity=item.quantity) for item in after.items],
    )


def payment(record: PaymentRecord) -> PaymentRecorded:
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


def _money(refund: Refund) -> dict[str, Any]:
    return {
        "refund_id": refund.id,
        "bank_id": refund.bank_id,
        "payment_id": refund.payment_id,
        "order_id": refund.order_id,
        "amount": refund.amount,
        "currency": refund.currency,
    }


def refund_requested(refund: Refund) -> RefundRequested:
    """The bank is to pay back."""
    return RefundRequested(**_money(refund))


def refunded(refund: Refund, customer_id: str | None, at: datetime) -> Refunded:
    """The bank has paid back."""
    return Refunded(**_money(refund), at=at, customer_id=customer_id)


def refund_failed(refund: Refund, reason: str, at: datetime) -> RefundFailed:
    """The bank has refused, or was asked for the last time."""
    return RefundFailed(**_money(refund), reason=reason, at=at)


def refund_alert(refund: Refund, said: str, at: datetime) -> SystemAlert:
    """Somebody has to see that the money goes back."""
    return SystemAlert(
        subject=f"refund:{refund.id}",
        reason="REFUND_FAILED",
        detail=f"{refund.amount} {refund.currency} of payment {refund.payment_id} did not go back: {said}.",
        at=at,
    )


def unknown_order(record: PaymentRecord) -> SystemAlert:
    """Money came for an order that is not there."""
    return SystemAlert(
        subject=f"payment:{record.bank_id}:{record.payment_id}",
        reason="PAYMENT_FOR_UNKNOWN_ORDER",
        detail=f"{record.amount} {record.currency} came for an order that is not there; it goes back.",
        at=record.at,
    )
