"""The rule of reconciliation: what all stores say of one order must agree. No I/O, no framework.

PostgreSQL is right about what happened (orders, steps, payments); history and payment documents, events and refunds
follow from it. What follows can be made again. What contradicts it is reported, since no rule knows who is wrong.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.orders import money
from services.orders.domain import HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.money import Outcome, PaymentRecord, Refund


class Kind(StrEnum):
    """What can disagree. Those of `REPORTED` are for people; all others are mended."""

    HISTORY_MISSING = "HISTORY_MISSING"
    HISTORY_DIFFERENT = "HISTORY_DIFFERENT"
    PAYMENT_DOCUMENT_MISSING = "PAYMENT_DOCUMENT_MISSING"
    PAYMENT_DOCUMENT_DIFFERENT = "PAYMENT_DOCUMENT_DIFFERENT"
    PAYMENT_LOST = "PAYMENT_LOST"
    REFUND_MISSING = "REFUND_MISSING"
    REFUND_SUM_WRONG = "REFUND_SUM_WRONG"
    HISTORY_UNEXPECTED = "HISTORY_UNEXPECTED"
    STEPS_INCOMPLETE = "STEPS_INCOMPLETE"
    PAYMENT_UNEXPECTED = "PAYMENT_UNEXPECTED"
    PAYMENT_MISSING = "PAYMENT_MISSING"
    PAID_AMOUNT_WRONG = "PAID_AMOUNT_WRONG"
    REFUND_UNEXPECTED = "REFUND_UNEXPECTED"

    @property
    def outcome(self) -> str:
        """What comes of it."""
        return "reported" if self in REPORTED else "mended"


REPORTED = frozenset(
    {
        Kind.HISTORY_UNEXPECTED,
        Kind.STEPS_INCOMPLETE,
        Kind.PAYMENT_UNEXPECTED,
        Kind.PAYMENT_MISSING,
        Kind.PAID_AMOUNT_WRONG,
        Kind.REFUND_UNEXPECTED,
    }
)
"""What nobody but a person can settle."""

CAPTURED = frozenset({Outcome.PAID, Outcome.OVERPAID, Outcome.INSUFFICIENT, Outcome.CONFLICT})
"""The outcomes whose money an order counts."""


@dataclass(slots=True)
class Books:
    """What every store says of one order, steps by version. No order: payments name one that is not there."""

    order: Order | None = None
    steps: list[HistoryEntry] = field(default_factory=list)
    payments: list[PaymentRecord] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    history: list[HistoryEntry] = field(default_factory=list)
    documents: list[PaymentRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """One disagreement, and what mends it, if anything does."""

    kind: Kind
    detail: str
    entry: HistoryEntry | None = None
    payment: PaymentRecord | None = None
    refund: Refund | None = None


def compare(books: Books) -> list[Found]:
    """Every disagreement, in the order in which they are to be mended; none when all agree."""
    lost = list(_lost_payments(books))
    whole = replace(books, payments=[*books.payments, *(found.payment for found in lost if found.payment)])
    refunds = list(_refunds(whole))
    mended = replace(whole, refunds=[*whole.refunds, *(found.refund for found in refunds if found.refund)])
    return [*lost, *_payments(whole), *_history(books), *refunds, *_sums(mended)]


def told(steps: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """The steps that are events and history: those that changed the status."""
    before = {step.version: step.status for step in steps}
    return [step for step in steps if step.version == 1 or before.get(step.version - 1, step.status) != step.status]


def _history(books: Books) -> Iterator[Found]:
    expected = {step.version: step for step in told(books.steps)}
    written = {entry.version: entry for entry in books.history}
    for version, step in expected.items():
        entry = written.get(version)
        if entry is None:
            yield Found(Kind.HISTORY_MISSING, f"version {version} ({step.status}) has no entry", entry=step)
        elif _to_the_millisecond(entry.at) != _to_the_millisecond(step.at) or replace(entry, at=step.at) != step:
            yield Found(Kind.HISTORY_DIFFERENT, f"the entry of version {version} is another than its step", entry=step)
    if books.order is None or not books.steps:
        if books.order is not None or written:
            yield Found(Kind.STEPS_INCOMPLETE, "nothing says how the order came to be as it is")
        return
    # An order older than the table of steps has none of its first ones.
    first = min(step.version for step in books.steps)
    kept = {step.version for step in books.steps}
    missing = sorted(set(range(first, books.order.version + 1)) - kept)
    if missing or books.steps[-1].status is not books.order.status:
        yield Found(Kind.STEPS_INCOMPLETE, f"steps {missing or 'to its status'} are not there")
    # Where a step is missing, its neighbours' entries cannot be judged.
    strange = sorted(version for version in written if first < version and version in kept and version not in expected)
    strange = [version for version in strange if version - 1 in kept]
    beyond = sorted(version for version in written if version > books.order.version)
    if strange or beyond:
        yield Found(Kind.HISTORY_UNEXPECTED, f"versions {strange + beyond} have an entry, but were no change of status")


def _lost_payments(books: Books) -> Iterator[Found]:
    """Payments that only their documents know, but of which the order's steps say that they were taken."""
    kept = {(payment.bank_id, payment.payment_id) for payment in books.payments}
    noted = {step.note for step in books.steps}
    for document in books.documents:
        if (document.bank_id, document.payment_id) not in kept and _note(document) in noted:
            bank = books.order.bank_id if books.order else ""
            if document.bank_id == bank:
                yield Found(Kind.PAYMENT_LOST, f"payment {document.payment_id} is only a document", payment=document)


def _payments(books: Books) -> Iterator[Found]:
    documents = {(document.bank_id, document.payment_id): document for document in books.documents}
    for payment in books.payments:
        document = documents.pop((payment.bank_id, payment.payment_id), None)
        name = f"payment {payment.payment_id} of {payment.bank_id}"
        if document is None:
            yield Found(Kind.PAYMENT_DOCUMENT_MISSING, f"{name} has no document", payment=payment)
            continue
        at, written = _to_the_millisecond(payment.at), _to_the_millisecond(document.at)
        if written > at:
            yield Found(Kind.PAYMENT_UNEXPECTED, f"the document of {name} is newer than what is known of it")
        elif written != at or replace(document, at=payment.at) != payment:
            yield Found(Kind.PAYMENT_DOCUMENT_DIFFERENT, f"the document of {name} is another", payment=payment)
    for bank_id, payment_id in sorted(documents):
        yield Found(Kind.PAYMENT_UNEXPECTED, f"payment {payment_id} of {bank_id} is a document and nothing else")


def _refunds(books: Books) -> Iterator[Found]:
    """Each refund that is owed is there once, by its id; and no other."""
    owed = {refund.id: refund for payment in books.payments for refund in _owed(payment)}
    if books.order is not None and books.order.status is OrderStatus.CANCELLED:
        cancelled = money.of_cancelled(books.order, books.order.updated_at)
        owed |= {cancelled.id: cancelled} if cancelled else {}
    noted = {step.note for step in books.steps}
    unclaimed = Counter(_money(refund) for refund in books.refunds if refund.id not in owed)
    for refund in owed.values():
        if any(each.id == refund.id for each in books.refunds):
            continue
        if unclaimed[_money(refund)]:  # made by a release that gave refunds ids by chance
            unclaimed[_money(refund)] -= 1
            continue
        ended = (status for status in (RefundStatus.REFUNDED, RefundStatus.FAILED))
        status = next((each for each in ended if f"refund {refund.id} {each}" in noted), RefundStatus.REQUESTED)
        detail = f"{refund.amount} {refund.currency} of payment {refund.payment_id} are owed; the refund is {status}"
        yield Found(Kind.REFUND_MISSING, detail, refund=replace(refund, status=status))
    for bank_id, payment_id, amount, currency in unclaimed.elements():
        detail = f"{amount} {currency} of payment {payment_id} of {bank_id} go back, but are not owed"
        yield Found(Kind.REFUND_UNEXPECTED, detail)


def _owed(payment: PaymentRecord) -> Iterator[Refund]:
    if payment.outcome is not Outcome.FAILED and payment.refund_amount:
        yield money.of_payment(payment)


def _sums(books: Books) -> Iterator[Found]:
    order = books.order
    if order is None:
        if any(payment.outcome in CAPTURED for payment in books.payments):
            yield Found(Kind.PAYMENT_UNEXPECTED, "an order was paid that is not there")
        return
    own = [payment for payment in books.payments if payment.bank_id == order.bank_id and payment.outcome in CAPTURED]
    captured = sum(payment.amount for payment in own if payment.currency == order.currency)
    if order.payment_id is not None and all(payment.payment_id != order.payment_id for payment in own):
        yield Found(Kind.PAYMENT_MISSING, f"payment {order.payment_id} paid the order, but nothing is known of it")
    elif captured != order.paid_amount:
        detail = f"the order counts {order.paid_amount} {order.currency}, its payments are {captured}"
        yield Found(Kind.PAID_AMOUNT_WRONG, detail)
    refunds = [refund for refund in books.refunds if refund.bank_id == order.bank_id]
    status, refunded = money.standing(order, refunds)
    if (status, refunded) != (order.refund_status, order.refunded_amount):
        if refunded > order.paid_amount:
            detail = f"{refunded} {order.currency} went back of {order.paid_amount}"
            yield Found(Kind.REFUND_UNEXPECTED, detail)
        else:
            detail = f"the order says {order.refund_status} {order.refunded_amount}, its refunds {status} {refunded}"
            yield Found(Kind.REFUND_SUM_WRONG, detail)


def _note(payment: PaymentRecord) -> str:
    return f"payment {payment.payment_id}"


def _money(refund: Refund) -> tuple[str, str, int, str]:
    return refund.bank_id, refund.payment_id, refund.amount, refund.currency


def _to_the_millisecond(at: datetime) -> datetime:
    """As the document store keeps times."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
