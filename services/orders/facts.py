"""What orders tell the other services: orders and payments as events say them."""

from generated.proto.delivery.events.v1 import (
    OrderFacts,
    OrderLine,
    OrderPaid,
    PaymentOutcome,
    PaymentRecorded,
    RefundRequested,
    SystemAlert,
)
from services.orders.domain import Order, Payment, PaymentRecord


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


def refund(refund_id: str, record: PaymentRecord) -> RefundRequested:
    """The bank is to pay back."""
    return RefundRequested(
        refund_id=refund_id,
        bank_id=record.bank_id,
        payment_id=record.payment_id,
        order_id=record.order_id,
        amount=record.refund_amount,
        currency=record.currency,
    )


def unknown_order(record: PaymentRecord) -> SystemAlert:
    """Money came for an order that is not there."""
    return SystemAlert(
        subject=f"payment:{record.bank_id}:{record.payment_id}",
        reason="PAYMENT_FOR_UNKNOWN_ORDER",
        detail=f"{record.amount} {record.currency} came for an order that is not there; it goes back.",
        at=record.at,
    )
