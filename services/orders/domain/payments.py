"""The rules of money: what a payment does to an order, and what goes back. No I/O, no framework.

At any time, what banks have captured for an order in its currency is what pays the order, plus its refunds.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import msgspec

from generated.problems import Reason
from services.orders.domain.orders import Order, OrderStatus, RefundStatus, transition


class PaymentOutcome(StrEnum):
    """What came of a payment callback."""

    PAID = "paid"
    OVERPAID = "overpaid"
    INSUFFICIENT = "insufficient"
    FAILED = "failed"
    CONFLICT = "conflict"
    UNKNOWN_ORDER = "unknown_order"


REJECTION_REASONS: Mapping[PaymentOutcome, Reason] = {
    PaymentOutcome.INSUFFICIENT: Reason.PAYMENT_INSUFFICIENT,
    PaymentOutcome.CONFLICT: Reason.PAYMENT_CONFLICT,
    PaymentOutcome.UNKNOWN_ORDER: Reason.ORDER_NOT_FOUND,
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
class PaymentRecord:
    """A payment callback as it was taken; amounts in minor units."""

    bank_id: str
    payment_id: str
    order_id: str
    amount: int
    currency: str
    outcome: PaymentOutcome
    refund_amount: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back, in minor units. `attempts` counts how often the bank was asked."""

    id: str
    bank_id: str
    payment_id: str
    order_id: str
    amount: int
    currency: str
    status: RefundStatus
    created_at: datetime
    attempts: int = 0
    trace: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The context in which it became due; whoever keeps it fills it in."""


def evaluate_payment(order: Order | None, payment: Payment) -> tuple[PaymentOutcome, int]:
    """What comes of a payment for the order it names, and how much of it goes back, in minor units.

    `order` is None when there is none by that id. Captured money pays the order or goes back; none is kept silently.
    """
    if not payment.succeeded:
        return PaymentOutcome.FAILED, 0
    if order is None or order.bank_id != payment.bank_id:
        return PaymentOutcome.UNKNOWN_ORDER, payment.amount
    if order.status is not OrderStatus.PENDING:
        return PaymentOutcome.CONFLICT, payment.amount
    if payment.currency != order.currency or payment.amount < order.total_amount:
        return PaymentOutcome.INSUFFICIENT, payment.amount
    excess = payment.amount - order.total_amount
    return (PaymentOutcome.OVERPAID if excess else PaymentOutcome.PAID), excess


def apply_payment(order: Order, payment: Payment, outcome: PaymentOutcome, refund_amount: int, at: datetime) -> Order:
    """The order after a payment that was judged; unchanged by one that captured nothing, or is not for it.

    The order counts only money of its own currency, but says of any that it goes back.
    """
    if not payment.succeeded or outcome is PaymentOutcome.UNKNOWN_ORDER:
        return order
    captured = payment.amount if payment.currency == order.currency else 0
    paid = outcome in (PaymentOutcome.PAID, PaymentOutcome.OVERPAID)
    changed = (
        transition(order, OrderStatus.PAID, at) if paid else replace(order, version=order.version + 1, updated_at=at)
    )
    return replace(
        changed,
        paid_amount=order.paid_amount + captured,
        payment_id=payment.payment_id if paid else order.payment_id,
        refund_status=RefundStatus.REQUESTED if refund_amount else order.refund_status,
    )


def _derive_refund_id(bank_id: str, payment_id: str, kind: str) -> str:
    """The same for the same money, so that a bank asked again after whatever accident gives it back once."""
    digest = hashlib.sha256(msgspec.json.encode((bank_id, payment_id, kind))).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def create_payment_refund(record: PaymentRecord) -> Refund:
    """What goes back of a payment that was taken."""
    return Refund(
        _derive_refund_id(record.bank_id, record.payment_id, "payment"),
        record.bank_id,
        record.payment_id,
        record.order_id,
        record.refund_amount,
        record.currency,
        RefundStatus.REQUESTED,
        record.at,
    )


def create_cancellation_refund(before: Order, at: datetime) -> Refund | None:
    """What goes back when this order is cancelled: what it was paid with, its excess aside, which went back already."""
    if before.payment_id is None or not before.total_amount:
        return None
    return Refund(
        _derive_refund_id(before.bank_id, before.payment_id, "order"),
        before.bank_id,
        before.payment_id,
        before.id,
        before.total_amount,
        before.currency,
        RefundStatus.REQUESTED,
        at,
    )


def summarise_refunds(order: Order, refunds: Sequence[Refund]) -> tuple[RefundStatus, int]:
    """Where an order's money that is to go back stands, all its refunds together, and how much of it went back.

    Under way as long as one is; then failed if one has. Only amounts of the order's currency are counted.
    """
    found = {refund.status for refund in refunds}
    worst = (RefundStatus.REQUESTED, RefundStatus.FAILED, RefundStatus.REFUNDED)
    status = next((status for status in worst if status in found), RefundStatus.NONE)
    done = (refund for refund in refunds if refund.status is RefundStatus.REFUNDED)
    return status, sum(refund.amount for refund in done if refund.currency == order.currency)


def apply_refunds(order: Order, refunds: Sequence[Refund], at: datetime) -> Order:
    """The order as its refunds say; itself when that is nothing new."""
    status, refunded = summarise_refunds(order, refunds)
    if (status, refunded) == (order.refund_status, order.refunded_amount):
        return order
    return replace(order, refund_status=status, refunded_amount=refunded, version=order.version + 1, updated_at=at)
