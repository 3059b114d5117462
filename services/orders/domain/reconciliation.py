"""Consistency rules between the stores of one order. No I/O, no framework.

PostgreSQL is authoritative for orders, transitions and payments. History and payment documents, events and refunds are
derived from them and can be rebuilt. A record that contradicts its source is only reported, since no rule can decide
which of them is wrong.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.orders.domain.orders import HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.domain.payments import (
    PaymentOutcome,
    PaymentRecord,
    Refund,
    create_cancellation_refund,
    create_payment_refund,
    summarise_refunds,
)
from services.runtime.core.money import format_amount


class DiscrepancyKind(StrEnum):
    """Kind of a discrepancy. Those in REPORTED_KINDS raise an alert, all others are repaired."""

    HISTORY_MISSING = "HISTORY_MISSING"
    HISTORY_MISMATCH = "HISTORY_MISMATCH"
    PAYMENT_DOCUMENT_MISSING = "PAYMENT_DOCUMENT_MISSING"
    PAYMENT_DOCUMENT_MISMATCH = "PAYMENT_DOCUMENT_MISMATCH"
    PAYMENT_ROW_MISSING = "PAYMENT_ROW_MISSING"
    REFUND_MISSING = "REFUND_MISSING"
    REFUND_TOTAL_MISMATCH = "REFUND_TOTAL_MISMATCH"
    ORDER_MISSING = "ORDER_MISSING"
    HISTORY_UNEXPECTED = "HISTORY_UNEXPECTED"
    TRANSITIONS_INCOMPLETE = "TRANSITIONS_INCOMPLETE"
    PAYMENT_UNEXPECTED = "PAYMENT_UNEXPECTED"
    PAYMENT_MISSING = "PAYMENT_MISSING"
    PAID_AMOUNT_MISMATCH = "PAID_AMOUNT_MISMATCH"
    REFUND_UNEXPECTED = "REFUND_UNEXPECTED"

    @property
    def outcome(self) -> str:
        """`reported` or `repaired`."""
        return "reported" if self in REPORTED_KINDS else "repaired"


REPORTED_KINDS = frozenset(
    {
        DiscrepancyKind.ORDER_MISSING,
        DiscrepancyKind.HISTORY_UNEXPECTED,
        DiscrepancyKind.TRANSITIONS_INCOMPLETE,
        DiscrepancyKind.PAYMENT_UNEXPECTED,
        DiscrepancyKind.PAYMENT_MISSING,
        DiscrepancyKind.PAID_AMOUNT_MISMATCH,
        DiscrepancyKind.REFUND_UNEXPECTED,
    }
)
"""Kinds that need a manual repair."""

CAPTURED_OUTCOMES = frozenset(
    {PaymentOutcome.PAID, PaymentOutcome.OVERPAID, PaymentOutcome.INSUFFICIENT, PaymentOutcome.CONFLICT}
)
"""Outcomes whose amount counts towards the order's `paid_amount`."""


@dataclass(slots=True)
class OrderRecords:
    """Records of one order in all stores, transitions by version. No `order` if only payments name its id."""

    order: Order | None = None
    transitions: list[HistoryEntry] = field(default_factory=list)
    payments: list[PaymentRecord] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    history: list[HistoryEntry] = field(default_factory=list)
    payment_documents: list[PaymentRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Discrepancy between stores, with the record that repairs it, if there is one."""

    kind: DiscrepancyKind
    detail: str
    entry: HistoryEntry | None = None
    payment: PaymentRecord | None = None
    refund: Refund | None = None


def find_discrepancies(records: OrderRecords) -> list[Discrepancy]:
    """Return all discrepancies, in the order in which they have to be repaired."""
    missing_rows = list(_find_payments_without_row(records))
    restored_payments = [discrepancy.payment for discrepancy in missing_rows if discrepancy.payment]
    with_payments = replace(records, payments=[*records.payments, *restored_payments])
    refunds = list(_compare_refunds(with_payments))
    restored_refunds = [discrepancy.refund for discrepancy in refunds if discrepancy.refund]
    with_refunds = replace(with_payments, refunds=[*with_payments.refunds, *restored_refunds])
    return [
        *missing_rows,
        *_compare_payments(with_payments),
        *_compare_history(records),
        *refunds,
        *_compare_totals(with_refunds),
    ]


def select_status_changes(transitions: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """Return the transitions that changed the status; these have an event and a history entry."""
    statuses = {transition.version: transition.status for transition in transitions}
    return [
        transition
        for transition in transitions
        if transition.version == 1 or statuses.get(transition.version - 1, transition.status) != transition.status
    ]


def _compare_history(records: OrderRecords) -> Iterator[Discrepancy]:
    expected = {transition.version: transition for transition in select_status_changes(records.transitions)}
    entries = {entry.version: entry for entry in records.history}
    for version, transition in expected.items():
        entry = entries.get(version)
        if entry is None:
            detail = f"version {version} ({transition.status}) has no history entry"
            yield Discrepancy(DiscrepancyKind.HISTORY_MISSING, detail, entry=transition)
        elif not _is_copy(entry, transition):
            detail = f"the history entry of version {version} differs from its transition"
            yield Discrepancy(DiscrepancyKind.HISTORY_MISMATCH, detail, entry=transition)
    if records.order is None:
        captured = (document for document in records.payment_documents if document.outcome in CAPTURED_OUTCOMES)
        if entries or any(captured):
            yield Discrepancy(DiscrepancyKind.ORDER_MISSING, "the order has documents, but no row")
        return
    if not records.transitions:
        yield Discrepancy(DiscrepancyKind.TRANSITIONS_INCOMPLETE, "the order has no transitions")
        return
    # An order older than the table of transitions lacks its first transitions.
    first_version = min(transition.version for transition in records.transitions)
    versions = {transition.version for transition in records.transitions}
    missing = sorted(set(range(first_version, records.order.version + 1)) - versions)
    if missing or records.transitions[-1].status is not records.order.status:
        detail = f"transitions {missing or 'to its status'} are missing"
        yield Discrepancy(DiscrepancyKind.TRANSITIONS_INCOMPLETE, detail)
    # The entry after a missing transition cannot be checked: the status before it is unknown. A copy of a transition
    # is correct whether the transition changed the status or not.
    transitions = {transition.version: transition for transition in records.transitions}
    unexpected = sorted(
        version
        for version, entry in entries.items()
        if first_version < version
        and {version - 1, version} <= versions
        and version not in expected
        and not _is_copy(entry, transitions[version])
    )
    beyond = sorted(version for version in entries if version > records.order.version)
    if unexpected or beyond:
        detail = f"versions {unexpected + beyond} have a history entry that is no copy of their transition"
        yield Discrepancy(DiscrepancyKind.HISTORY_UNEXPECTED, detail)


def _find_payments_without_row(records: OrderRecords) -> Iterator[Discrepancy]:
    """Find payments that exist only as documents, although the order's transitions refer to them."""
    keys = {(payment.bank_id, payment.key) for payment in records.payments}
    notes = {transition.note for transition in records.transitions}
    for document in records.payment_documents:
        if document.outcome is PaymentOutcome.DUPLICATE_ID:
            continue
        if (document.bank_id, document.key) not in keys and _format_payment_note(document) in notes:
            bank_id = records.order.bank_id if records.order else ""
            if document.bank_id == bank_id:
                yield Discrepancy(
                    DiscrepancyKind.PAYMENT_ROW_MISSING,
                    f"payment {document.payment_id} has a document, but no row",
                    payment=document,
                )


def _compare_payments(records: OrderRecords) -> Iterator[Discrepancy]:
    documents = {(document.bank_id, document.key): document for document in records.payment_documents}
    for payment in records.payments:
        document = documents.pop((payment.bank_id, payment.key), None)
        name = f"payment {payment.payment_id} of {payment.bank_id}"
        if document is None:
            yield Discrepancy(DiscrepancyKind.PAYMENT_DOCUMENT_MISSING, f"{name} has no document", payment=payment)
            continue
        row_at, document_at = _truncate_to_milliseconds(payment.at), _truncate_to_milliseconds(document.at)
        if document_at > row_at:
            yield Discrepancy(DiscrepancyKind.PAYMENT_UNEXPECTED, f"the document of {name} is newer than its row")
        elif document_at != row_at or replace(document, at=payment.at) != payment:
            yield Discrepancy(
                DiscrepancyKind.PAYMENT_DOCUMENT_MISMATCH,
                f"the document of {name} differs from its row",
                payment=payment,
            )
    for bank_id, payment_id in sorted(documents):
        yield Discrepancy(
            DiscrepancyKind.PAYMENT_UNEXPECTED, f"payment {payment_id} of {bank_id} has a document, but no row"
        )


def _compare_refunds(records: OrderRecords) -> Iterator[Discrepancy]:
    """Check that exactly the owed refunds exist, each once and with its derived id."""
    owed = {refund.id: refund for payment in records.payments for refund in _derive_owed_refunds(payment)}
    if records.order is not None and records.order.status is OrderStatus.CANCELLED:
        cancellation_refund = create_cancellation_refund(records.order, records.order.updated_at)
        owed |= {cancellation_refund.id: cancellation_refund} if cancellation_refund else {}
    notes = {transition.note for transition in records.transitions}
    unmatched = Counter(_build_refund_key(refund) for refund in records.refunds if refund.id not in owed)
    for refund in owed.values():
        if any(existing.id == refund.id for existing in records.refunds):
            continue
        if unmatched[_build_refund_key(refund)]:  # created by a release that used random refund ids
            unmatched[_build_refund_key(refund)] -= 1
            continue
        status = next(
            (
                final_status
                for final_status in (RefundStatus.REFUNDED, RefundStatus.FAILED)
                if f"refund {refund.id} {final_status}" in notes
            ),
            RefundStatus.REQUESTED,
        )
        detail = (
            f"{format_amount(refund.amount, refund.currency)} of payment {refund.payment_id} is owed, but has no"
            f" refund; restored as {status}"
        )
        yield Discrepancy(DiscrepancyKind.REFUND_MISSING, detail, refund=replace(refund, status=status))
    for bank_id, payment_id, amount, currency in unmatched.elements():
        detail = f"a refund of {format_amount(amount, currency)} of payment {payment_id} of {bank_id} is not owed"
        yield Discrepancy(DiscrepancyKind.REFUND_UNEXPECTED, detail)


def _derive_owed_refunds(payment: PaymentRecord) -> Iterator[Refund]:
    if payment.outcome is not PaymentOutcome.FAILED and payment.refund_amount:
        yield create_payment_refund(payment)


def _compare_totals(records: OrderRecords) -> Iterator[Discrepancy]:
    order = records.order
    if order is None:
        if any(payment.outcome in CAPTURED_OUTCOMES for payment in records.payments):
            yield Discrepancy(DiscrepancyKind.PAYMENT_UNEXPECTED, "a payment was captured for an unknown order")
        return
    captured_payments = [
        payment
        for payment in records.payments
        if payment.bank_id == order.bank_id and payment.outcome in CAPTURED_OUTCOMES
    ]
    captured = sum(payment.amount for payment in captured_payments if payment.currency == order.currency)
    if order.payment_id is not None and all(payment.payment_id != order.payment_id for payment in captured_payments):
        detail = f"payment {order.payment_id}, which paid the order, has no row"
        yield Discrepancy(DiscrepancyKind.PAYMENT_MISSING, detail)
    elif captured != order.paid_amount:
        detail = (
            f"the order's paid amount is {format_amount(order.paid_amount, order.currency)},"
            f" its payments amount to {format_amount(captured, order.currency)}"
        )
        yield Discrepancy(DiscrepancyKind.PAID_AMOUNT_MISMATCH, detail)
    refunds = [refund for refund in records.refunds if refund.bank_id == order.bank_id]
    status, refunded = summarise_refunds(order, refunds)
    if (status, refunded) != (order.refund_status, order.refunded_amount):
        if refunded > order.paid_amount:
            detail = (
                f"{format_amount(refunded, order.currency)} was refunded, but only"
                f" {format_amount(order.paid_amount, order.currency)} was paid"
            )
            yield Discrepancy(DiscrepancyKind.REFUND_UNEXPECTED, detail)
        else:
            detail = (
                f"the order's refunds are {order.refund_status}"
                f" ({format_amount(order.refunded_amount, order.currency)}), but should be {status}"
                f" ({format_amount(refunded, order.currency)})"
            )
            yield Discrepancy(DiscrepancyKind.REFUND_TOTAL_MISMATCH, detail)


def _is_copy(entry: HistoryEntry, transition: HistoryEntry) -> bool:
    """Return whether a history entry equals its transition."""
    if _truncate_to_milliseconds(entry.at) != _truncate_to_milliseconds(transition.at):
        return False
    return replace(entry, at=transition.at) == transition


def _format_payment_note(payment: PaymentRecord) -> str:
    return f"payment {payment.payment_id}"


def _build_refund_key(refund: Refund) -> tuple[str, str, int, str]:
    return refund.bank_id, refund.payment_id, refund.amount, refund.currency


def _truncate_to_milliseconds(at: datetime) -> datetime:
    """Truncate a time to the precision of the document store."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
