"""The rule of reconciliation: what all stores say of one order must agree. No I/O, no framework.

PostgreSQL is right about what happened (orders, steps, payments); history and payment documents, events and refunds
follow from it. What follows can be made again. What contradicts it is reported, since no rule knows who is wrong.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.orders.domain import payments as payment_rules
from services.orders.domain.orders import HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord, Refund


class DiscrepancyKind(StrEnum):
    """What can disagree. Those of `REPORTED` are for people; all others are repaired."""

    HISTORY_MISSING = "HISTORY_MISSING"
    HISTORY_MISMATCH = "HISTORY_MISMATCH"
    PAYMENT_DOCUMENT_MISSING = "PAYMENT_DOCUMENT_MISSING"
    PAYMENT_DOCUMENT_MISMATCH = "PAYMENT_DOCUMENT_MISMATCH"
    PAYMENT_ROW_MISSING = "PAYMENT_ROW_MISSING"
    REFUND_MISSING = "REFUND_MISSING"
    REFUND_TOTAL_MISMATCH = "REFUND_TOTAL_MISMATCH"
    HISTORY_UNEXPECTED = "HISTORY_UNEXPECTED"
    TRANSITIONS_INCOMPLETE = "TRANSITIONS_INCOMPLETE"
    PAYMENT_UNEXPECTED = "PAYMENT_UNEXPECTED"
    PAYMENT_MISSING = "PAYMENT_MISSING"
    PAID_AMOUNT_MISMATCH = "PAID_AMOUNT_MISMATCH"
    REFUND_UNEXPECTED = "REFUND_UNEXPECTED"

    @property
    def outcome(self) -> str:
        """What comes of it."""
        return "reported" if self in REPORTED_KINDS else "repaired"


REPORTED_KINDS = frozenset(
    {
        DiscrepancyKind.HISTORY_UNEXPECTED,
        DiscrepancyKind.TRANSITIONS_INCOMPLETE,
        DiscrepancyKind.PAYMENT_UNEXPECTED,
        DiscrepancyKind.PAYMENT_MISSING,
        DiscrepancyKind.PAID_AMOUNT_MISMATCH,
        DiscrepancyKind.REFUND_UNEXPECTED,
    }
)
"""What nobody but a person can settle."""

CAPTURED_OUTCOMES = frozenset(
    {PaymentOutcome.PAID, PaymentOutcome.OVERPAID, PaymentOutcome.INSUFFICIENT, PaymentOutcome.CONFLICT}
)
"""The outcomes whose money an order counts."""


@dataclass(slots=True)
class OrderRecords:
    """What every store says of one order, steps by version. No order: payments name one that is not there."""

    order: Order | None = None
    transitions: list[HistoryEntry] = field(default_factory=list)
    payments: list[PaymentRecord] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    history: list[HistoryEntry] = field(default_factory=list)
    payment_documents: list[PaymentRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One disagreement, and what mends it, if anything does."""

    kind: DiscrepancyKind
    detail: str
    entry: HistoryEntry | None = None
    payment: PaymentRecord | None = None
    refund: Refund | None = None


def find_discrepancies(records: OrderRecords) -> list[Discrepancy]:
    """Every disagreement, in the order in which they are to be repaired; none when all agree."""
    lost = list(_find_payments_without_row(records))
    whole = replace(records, payments=[*records.payments, *(found.payment for found in lost if found.payment)])
    refunds = list(_compare_refunds(whole))
    repaired = replace(whole, refunds=[*whole.refunds, *(found.refund for found in refunds if found.refund)])
    return [*lost, *_compare_payments(whole), *_compare_history(records), *refunds, *_compare_totals(repaired)]


def select_status_changes(transitions: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """The steps that are events and history: those that changed the status."""
    before = {step.version: step.status for step in transitions}
    return [
        step for step in transitions if step.version == 1 or before.get(step.version - 1, step.status) != step.status
    ]


def _compare_history(records: OrderRecords) -> Iterator[Discrepancy]:
    expected = {step.version: step for step in select_status_changes(records.transitions)}
    written = {entry.version: entry for entry in records.history}
    for version, step in expected.items():
        entry = written.get(version)
        if entry is None:
            yield Discrepancy(
                DiscrepancyKind.HISTORY_MISSING, f"version {version} ({step.status}) has no entry", entry=step
            )
        elif (
            _truncate_to_milliseconds(entry.at) != _truncate_to_milliseconds(step.at)
            or replace(entry, at=step.at) != step
        ):
            yield Discrepancy(
                DiscrepancyKind.HISTORY_MISMATCH, f"the entry of version {version} is another than its step", entry=step
            )
    if records.order is None or not records.transitions:
        if records.order is not None or written:
            yield Discrepancy(DiscrepancyKind.TRANSITIONS_INCOMPLETE, "nothing says how the order came to be as it is")
        return
    # An order older than the table of steps has none of its first ones.
    first = min(step.version for step in records.transitions)
    kept = {step.version for step in records.transitions}
    missing = sorted(set(range(first, records.order.version + 1)) - kept)
    if missing or records.transitions[-1].status is not records.order.status:
        yield Discrepancy(DiscrepancyKind.TRANSITIONS_INCOMPLETE, f"steps {missing or 'to its status'} are not there")
    # Where a step is missing, its neighbours' entries cannot be judged.
    strange = sorted(version for version in written if first < version and version in kept and version not in expected)
    strange = [version for version in strange if version - 1 in kept]
    beyond = sorted(version for version in written if version > records.order.version)
    if strange or beyond:
        yield Discrepancy(
            DiscrepancyKind.HISTORY_UNEXPECTED,
            f"versions {strange + beyond} have an entry, but were no change of status",
        )


def _find_payments_without_row(records: OrderRecords) -> Iterator[Discrepancy]:
    """Payments that only their documents know, but of which the order's steps say that they were taken."""
    kept = {(payment.bank_id, payment.payment_id) for payment in records.payments}
    noted = {step.note for step in records.transitions}
    for document in records.payment_documents:
        if (document.bank_id, document.payment_id) not in kept and _format_payment_note(document) in noted:
            bank = records.order.bank_id if records.order else ""
            if document.bank_id == bank:
                yield Discrepancy(
                    DiscrepancyKind.PAYMENT_ROW_MISSING,
                    f"payment {document.payment_id} is only a document",
                    payment=document,
                )


def _compare_payments(records: OrderRecords) -> Iterator[Discrepancy]:
    documents = {(document.bank_id, document.payment_id): document for document in records.payment_documents}
    for payment in records.payments:
        document = documents.pop((payment.bank_id, payment.payment_id), None)
        name = f"payment {payment.payment_id} of {payment.bank_id}"
        if document is None:
            yield Discrepancy(DiscrepancyKind.PAYMENT_DOCUMENT_MISSING, f"{name} has no document", payment=payment)
            continue
        at, written = _truncate_to_milliseconds(payment.at), _truncate_to_milliseconds(document.at)
        if written > at:
            yield Discrepancy(
                DiscrepancyKind.PAYMENT_UNEXPECTED, f"the document of {name} is newer than what is known of it"
            )
        elif written != at or replace(document, at=payment.at) != payment:
            yield Discrepancy(
                DiscrepancyKind.PAYMENT_DOCUMENT_MISMATCH, f"the document of {name} is another", payment=payment
            )
    for bank_id, payment_id in sorted(documents):
        yield Discrepancy(
            DiscrepancyKind.PAYMENT_UNEXPECTED, f"payment {payment_id} of {bank_id} is a document and nothing else"
        )


def _compare_refunds(records: OrderRecords) -> Iterator[Discrepancy]:
    """Each refund that is owed is there once, by its id; and no other."""
    owed = {refund.id: refund for payment in records.payments for refund in _derive_owed_refunds(payment)}
    if records.order is not None and records.order.status is OrderStatus.CANCELLED:
        cancelled = payment_rules.create_cancellation_refund(records.order, records.order.updated_at)
        owed |= {cancelled.id: cancelled} if cancelled else {}
    noted = {step.note for step in records.transitions}
    unclaimed = Counter(_refund_key(refund) for refund in records.refunds if refund.id not in owed)
    for refund in owed.values():
        if any(each.id == refund.id for each in records.refunds):
            continue
        if unclaimed[_refund_key(refund)]:  # made by a release that gave refunds ids by chance
            unclaimed[_refund_key(refund)] -= 1
            continue
        ended = (status for status in (RefundStatus.REFUNDED, RefundStatus.FAILED))
        status = next((each for each in ended if f"refund {refund.id} {each}" in noted), RefundStatus.REQUESTED)
        detail = f"{refund.amount} {refund.currency} of payment {refund.payment_id} are owed; the refund is {status}"
        yield Discrepancy(DiscrepancyKind.REFUND_MISSING, detail, refund=replace(refund, status=status))
    for bank_id, payment_id, amount, currency in unclaimed.elements():
        detail = f"{amount} {currency} of payment {payment_id} of {bank_id} go back, but are not owed"
        yield Discrepancy(DiscrepancyKind.REFUND_UNEXPECTED, detail)


def _derive_owed_refunds(payment: PaymentRecord) -> Iterator[Refund]:
    if payment.outcome is not PaymentOutcome.FAILED and payment.refund_amount:
        yield payment_rules.create_payment_refund(payment)


def _compare_totals(records: OrderRecords) -> Iterator[Discrepancy]:
    order = records.order
    if order is None:
        if any(payment.outcome in CAPTURED_OUTCOMES for payment in records.payments):
            yield Discrepancy(DiscrepancyKind.PAYMENT_UNEXPECTED, "an order was paid that is not there")
        return
    own = [
        payment
        for payment in records.payments
        if payment.bank_id == order.bank_id and payment.outcome in CAPTURED_OUTCOMES
    ]
    captured = sum(payment.amount for payment in own if payment.currency == order.currency)
    if order.payment_id is not None and all(payment.payment_id != order.payment_id for payment in own):
        yield Discrepancy(
            DiscrepancyKind.PAYMENT_MISSING, f"payment {order.payment_id} paid the order, but nothing is known of it"
        )
    elif captured != order.paid_amount:
        detail = f"the order counts {order.paid_amount} {order.currency}, its payments are {captured}"
        yield Discrepancy(DiscrepancyKind.PAID_AMOUNT_MISMATCH, detail)
    refunds = [refund for refund in records.refunds if refund.bank_id == order.bank_id]
    status, refunded = payment_rules.summarise_refunds(order, refunds)
    if (status, refunded) != (order.refund_status, order.refunded_amount):
        if refunded > order.paid_amount:
            detail = f"{refunded} {order.currency} went back of {order.paid_amount}"
            yield Discrepancy(DiscrepancyKind.REFUND_UNEXPECTED, detail)
        else:
            detail = f"the order says {order.refund_status} {order.refunded_amount}, its refunds {status} {refunded}"
            yield Discrepancy(DiscrepancyKind.REFUND_TOTAL_MISMATCH, detail)


def _format_payment_note(payment: PaymentRecord) -> str:
    return f"payment {payment.payment_id}"


def _refund_key(refund: Refund) -> tuple[str, str, int, str]:
    return refund.bank_id, refund.payment_id, refund.amount, refund.currency


def _truncate_to_milliseconds(at: datetime) -> datetime:
    """As the document store keeps times."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
