"""Rules of payments and refunds. No I/O, no framework.

Invariant: the amount captured for an order in its currency equals the amount that pays the order plus its refunds.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self

import msgspec

from generated.problems import Reason
from services.orders.domain.orders import Order, OrderStatus, RefundStatus, transition


class PaymentOutcome(StrEnum):
    """Outcome of a payment callback."""

    PAID = "paid"
    OVERPAID = "overpaid"
    INSUFFICIENT = "insufficient"
    FAILED = "failed"
    CONFLICT = "conflict"
    UNKNOWN_ORDER = "unknown_order"
    DUPLICATE_ID = "duplicate_id"

    @property
    def is_paid(self) -> bool:
        """Return whether the payment pays its order."""
        return self in (PaymentOutcome.PAID, PaymentOutcome.OVERPAID)


REJECTION_REASONS: Mapping[PaymentOutcome, Reason] = {
    PaymentOutcome.INSUFFICIENT: Reason.PAYMENT_INSUFFICIENT,
    PaymentOutcome.CONFLICT: Reason.PAYMENT_CONFLICT,
    PaymentOutcome.UNKNOWN_ORDER: Reason.ORDER_NOT_FOUND,
    PaymentOutcome.DUPLICATE_ID: Reason.PAYMENT_ID_REUSED,
}
"""Outcomes that a bank receives as errors. They need no retry, since the payment is recorded."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Payment as reported by a bank; `amount` is in minor units."""

    bank_id: str
    payment_id: str
    order_id: str
    amount: int
    currency: str
    succeeded: bool

    def compute_fingerprint(self) -> bytes:
        """Return a digest of all fields, which identifies the callback independently of its JSON encoding."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """Payment as recorded; amounts are in minor units."""

    bank_id: str
    payment_id: str
    order_id: str
    amount: int
    currency: str
    outcome: PaymentOutcome
    refund_amount: int
    at: datetime

    @classmethod
    def create(cls, payment: Payment, outcome: PaymentOutcome, refund_amount: int, at: datetime) -> Self:
        """Return the record of a reported payment."""
        return cls(
            bank_id=payment.bank_id,
            payment_id=payment.payment_id,
            order_id=payment.order_id,
            amount=payment.amount,
            currency=payment.currency,
            outcome=outcome,
            refund_amount=refund_amount,
            at=at,
        )

    @property
    def key(self) -> str:
        """Key of the record at its bank: the payment id, with a digest of the order and amount if that is taken."""
        if self.outcome is not PaymentOutcome.DUPLICATE_ID:
            return self.payment_id
        # Payment ids contain no spaces.
        return f"{self.payment_id} {_compute_digest(self.order_id, self.amount, self.currency)}"

    def is_for(self, payment: Payment) -> bool:
        """Return whether a report of this payment names the same order, amount and currency."""
        return (self.order_id, self.amount, self.currency) == (payment.order_id, payment.amount, payment.currency)

    def is_repeated_by(self, payment: Payment) -> bool:
        """Return whether a report of this payment has the result that is recorded."""
        return self.is_for(payment) and payment.succeeded is (self.outcome is not PaymentOutcome.FAILED)

    def is_completed_by(self, payment: Payment) -> bool:
        """Return whether a report of this payment is its first success, after a failure that captured nothing."""
        return payment.succeeded and self.outcome is PaymentOutcome.FAILED


class BankPaymentPage(NamedTuple):
    """Page of the payments that a bank has captured; `next_page_token` is None on the last page."""

    payments: Sequence[Payment]
    next_page_token: str | None


class PaymentFilter(NamedTuple):
    """Filter of a list of payments; None matches every value."""

    order_id: str | None = None
    bank_id: str | None = None


class ProcessedCallback(NamedTuple):
    """Payment id, outcome and fingerprint of a callback that has already been processed.

    Callbacks that an earlier release processed have no fingerprint.
    """

    payment_id: str
    outcome: PaymentOutcome
    fingerprint: bytes | None = None

    def is_repeated_by(self, payment: Payment) -> bool:
        """Return whether the payment is the one of the processed callback."""
        if self.fingerprint is None:
            return self.payment_id == payment.payment_id
        return self.fingerprint == payment.compute_fingerprint()


@dataclass(frozen=True, slots=True)
class Refund:
    """Refund; `amount` is in minor units, `attempts` counts the requests to the bank."""

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
    """Trace context headers of the request that created the refund; set by the repository."""
    next_at: datetime | None = field(default=None, compare=False)
    """Time of the next attempt, or end of the lease of the current one; meaningful while the refund is requested."""
    last_response: str | None = field(default=None, compare=False)
    """Summary of the bank's last response."""


class RefundResponse(NamedTuple):
    """Bank's response to a refund request: refunded, finally rejected, or (neither flag set) to be retried."""

    is_refunded: bool
    is_final: bool
    message: str


class PaymentResult(NamedTuple):
    """Record of a payment, the order after it unless it is unchanged or unknown, and the refund that it requires."""

    record: PaymentRecord
    changed_order: Order | None
    refund: Refund | None


def resolve_payment(
    order: Order | None, payment: Payment, at: datetime, *, is_acceptable: bool = True
) -> PaymentResult:
    """Return what a payment that has not been recorded yet causes. An unknown order is passed as None."""
    outcome, refund_amount = evaluate_payment(order, payment, is_acceptable=is_acceptable)
    record = PaymentRecord.create(payment, outcome, refund_amount, at)
    after = None if order is None else apply_payment(order, payment, outcome, refund_amount, at)
    refund = create_payment_refund(record) if refund_amount else None
    return PaymentResult(record, None if after == order else after, refund)


def evaluate_payment(
    order: Order | None, payment: Payment, *, is_acceptable: bool = True
) -> tuple[PaymentOutcome, int]:
    """Return the outcome of a payment and the amount to refund, in minor units.

    An unknown order is passed as None. A captured amount either pays the order or is refunded. A payment that is not
    acceptable never pays the order.
    """
    if not payment.succeeded:
        return PaymentOutcome.FAILED, 0
    if order is None or order.bank_id != payment.bank_id:
        return PaymentOutcome.UNKNOWN_ORDER, payment.amount
    if order.status is not OrderStatus.PENDING or not is_acceptable:
        return PaymentOutcome.CONFLICT, payment.amount
    if payment.currency != order.currency or payment.amount < order.total_amount:
        return PaymentOutcome.INSUFFICIENT, payment.amount
    excess = payment.amount - order.total_amount
    return (PaymentOutcome.OVERPAID if excess else PaymentOutcome.PAID), excess


def apply_payment(order: Order, payment: Payment, outcome: PaymentOutcome, refund_amount: int, at: datetime) -> Order:
    """Return the order after an evaluated payment; unchanged if nothing was captured or the order is unknown.

    `paid_amount` counts only the order's own currency; `refund_status` reflects refunds of any currency.
    """
    if not payment.succeeded or outcome is PaymentOutcome.UNKNOWN_ORDER:
        return order
    captured_amount = payment.amount if payment.currency == order.currency else 0
    after = (
        transition(order, OrderStatus.PAID, at)
        if outcome.is_paid
        else replace(order, version=order.version + 1, updated_at=at)
    )
    return replace(
        after,
        paid_amount=order.paid_amount + captured_amount,
        payment_id=payment.payment_id if outcome.is_paid else order.payment_id,
        refund_status=RefundStatus.REQUESTED if refund_amount else order.refund_status,
    )


def _derive_refund_id(bank_id: str, payment_id: str, kind: str) -> str:
    """Derive a refund's id from its cause, so that a repeated request to the bank is deduplicated."""
    return _compute_digest(bank_id, payment_id, kind)


def _compute_digest(*values: str | int) -> str:
    digest = hashlib.sha256(msgspec.json.encode(values)).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def create_payment_refund(record: PaymentRecord) -> Refund:
    """Return the refund that a recorded payment requires."""
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
    """Return the refund that cancelling the order requires, or None. An excess payment is refunded separately."""
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
    """Return the combined status of an order's refunds and the refunded amount in the order's currency.

    REQUESTED takes precedence over FAILED, and FAILED over REFUNDED.
    """
    statuses = {refund.status for refund in refunds}
    precedence = (RefundStatus.REQUESTED, RefundStatus.FAILED, RefundStatus.REFUNDED)
    status = next((status for status in precedence if status in statuses), RefundStatus.NONE)
    refunded = (refund for refund in refunds if refund.status is RefundStatus.REFUNDED)
    return status, sum(refund.amount for refund in refunded if refund.currency == order.currency)


def apply_refunds(order: Order, refunds: Sequence[Refund], at: datetime) -> Order:
    """Return the order with the totals of its refunds; the same object if nothing changes."""
    status, refunded = summarise_refunds(order, refunds)
    if (status, refunded) == (order.refund_status, order.refunded_amount):
        return order
    return replace(order, refund_status=status, refunded_amount=refunded, version=order.version + 1, updated_at=at)
