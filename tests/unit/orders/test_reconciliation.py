"""The rule of reconciliation: whatever happened to an order, its stores agree; whatever is taken from one is found."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.proto.delivery.events.v1 import OrderAssigned, OrderCancelled, OrderCreated, OrderPaid, OrderReady
from services.orders.domain import orders as order_rules
from services.orders.domain import payments as payment_rules
from services.orders.domain import reconciliation
from services.orders.domain.orders import Basket, HistoryEntry, Item, Order, OrderStatus, Partner, RefundStatus
from services.orders.domain.payments import Payment, PaymentOutcome, PaymentRecord
from services.orders.domain.reconciliation import (
    REPORTED_KINDS,
    Discrepancy,
    DiscrepancyKind,
    OrderRecords,
    find_discrepancies,
)
from services.orders.usecases import event_factory
from services.runtime.core.errors import ApiError

AT = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
BASKET = Basket(Partner(1, "Green Bowl", "B"), (Item(1, "L", 2, 100),), 200, "USD", "visa", "1 Long Street", None, None)


def as_written(document: Any) -> Any:
    """The document store keeps times to the millisecond."""
    return replace(document, at=document.at.replace(microsecond=document.at.microsecond // 1000 * 1000))


class Life:
    """An order, and what the use cases would have kept of it everywhere."""

    def __init__(self) -> None:
        self.now = AT
        self.order = order_rules.create_order("o", "ada", BASKET, AT)
        self.books = OrderRecords(self.order)
        self._step("customer:ada", None, told=True)

    def _step(self, actor: str, note: str | None, *, told: bool) -> None:
        order = self.order
        step = HistoryEntry(order.id, order.version, order.status, order.updated_at, actor, note)
        self.books.order = order
        self.books.transitions.append(step)
        if told:
            self.books.history.append(as_written(step))

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1, microseconds=7)
        return self.now

    def pay(self, amount: int, currency: str, succeeded: bool, bank: str) -> None:
        payment = Payment(bank, f"p{len(self.books.payments)}", "o", amount, currency, succeeded)
        result, back = payment_rules.evaluate_payment(self.order, payment)
        record = PaymentRecord(bank, payment.payment_id, "o", amount, currency, result, back, self.tick())
        self.books.payments.append(record)
        self.books.payment_documents.append(as_written(record))
        before, self.order = self.order, payment_rules.apply_payment(self.order, payment, result, back, self.now)
        if self.order != before:
            told = self.order.status is not before.status
            self._step(f"bank:{bank}", f"payment {payment.payment_id}", told=told)
        if back:
            self.books.refunds.append(payment_rules.create_payment_refund(record))

    def go(self, step: Callable[[Order, datetime], Order], actor: str) -> None:
        try:
            after = step(self.order, self.tick())
        except ApiError:
            return
        if after is self.order:
            return
        back = (
            payment_rules.create_cancellation_refund(self.order, self.now)
            if after.status is OrderStatus.CANCELLED
            else None
        )
        self.order = replace(after, refund_status=RefundStatus.REQUESTED) if back else after
        self._step(actor, after.cancel_reason, told=True)
        if back:
            self.books.refunds.append(back)

    def end(self, index: int, status: RefundStatus) -> None:
        if not self.books.refunds:
            return
        refund = self.books.refunds[index % len(self.books.refunds)]
        if refund.status is not RefundStatus.REQUESTED:
            return
        self.books.refunds[self.books.refunds.index(refund)] = replace(refund, status=status)
        own = [each for each in self.books.refunds if each.bank_id == "visa"]
        after = payment_rules.apply_refunds(self.order, own, self.tick())
        if refund.bank_id == "visa" and after is not self.order:
            self.order = after
            self._step("bank:visa", f"refund {refund.id} {status}", told=False)


def lived(deeds: list[tuple[Any, ...]]) -> Life:
    life = Life()
    for name, *said in deeds:
        getattr(life, name)(*said)
    return life


PAYING = st.tuples(
    st.just("pay"),
    st.sampled_from([0, 100, 200, 200, 200, 250, 400]),
    st.sampled_from(["USD", "USD", "USD", "EUR"]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from(["visa", "visa", "visa", "km"]),
)
STEPS: dict[str, tuple[Callable[[Order, datetime], Order], str]] = {
    "cancel": (lambda order, at: order_rules.cancel(order, "root", "admin", "why not", at), "admin:root"),
    "expire": (order_rules.expire, "system"),
    "ready": (lambda order, at: order_rules.mark_ready(order, "1 Market Square", at), "partner:1"),
    "assign": (lambda order, at: order_rules.assign(order, "bob", at), "deliverer:bob"),
    "complete": (lambda order, at: order_rules.complete(order, "bob", at), "deliverer:bob"),
}
GOING = st.sampled_from(sorted(STEPS)).map(lambda name: ("go", *STEPS[name]))
ENDING = st.tuples(st.just("end"), st.integers(0, 5), st.sampled_from([RefundStatus.REFUNDED, RefundStatus.FAILED]))
LIVES = st.lists(st.one_of(PAYING, PAYING, GOING, ENDING), max_size=12).map(lived)


def repaired(books: OrderRecords, found: list[Discrepancy]) -> OrderRecords:
    """What the use case does about it."""
    books = replace(books, **{name: list(getattr(books, name)) for name in ("payments", "refunds", "transitions")})
    history = {entry.version: entry for entry in books.history}
    documents = {(payment.bank_id, payment.payment_id): payment for payment in books.payment_documents}
    for each in found:
        if each.entry is not None:
            history[each.entry.version] = as_written(each.entry)
        if each.payment is not None:
            documents[each.payment.bank_id, each.payment.payment_id] = as_written(each.payment)
        if each.kind is DiscrepancyKind.PAYMENT_ROW_MISSING and each.payment is not None:
            books.payments.append(each.payment)
        if each.refund is not None:
            books.refunds.append(each.refund)
        if each.kind is DiscrepancyKind.REFUND_TOTAL_MISMATCH and books.order is not None:
            own = [refund for refund in books.refunds if refund.bank_id == books.order.bank_id]
            books.order = payment_rules.apply_refunds(books.order, own, AT)
            order = books.order
            books.transitions.append(HistoryEntry("o", order.version, order.status, order.updated_at, "system", None))
    return replace(books, history=list(history.values()), payment_documents=list(documents.values()))


@given(life=LIVES)
def test_of_an_order_to_which_nothing_happened_but_its_life_all_agree(life: Life) -> None:
    assert find_discrepancies(life.books) == []


@given(life=LIVES, data=st.data())
def test_what_is_taken_away_is_found_and_no_more_and_can_be_made_again(life: Life, data: st.DataObject) -> None:
    books = life.books
    expected: Counter[DiscrepancyKind] = Counter()
    kept: dict[str, list[Any]] = {}
    for name, kind in (
        ("history", DiscrepancyKind.HISTORY_MISSING),
        ("payment_documents", DiscrepancyKind.PAYMENT_DOCUMENT_MISSING),
        ("refunds", DiscrepancyKind.REFUND_MISSING),
    ):
        all_of_it = getattr(books, name)
        gone = data.draw(st.sets(st.sampled_from(range(len(all_of_it))))) if all_of_it else set()
        kept[name] = [each for index, each in enumerate(all_of_it) if index not in gone]
        expected[kind] = len(gone)
    found = find_discrepancies(replace(books, **kept))
    counted = Counter(each.kind for each in found)
    # A refund of another bank leaves no trace in the order when it ends; it is asked for again, by the same id.
    counted.pop(DiscrepancyKind.REFUND_TOTAL_MISMATCH, None)
    assert counted == +expected
    again = repaired(replace(books, **kept), found)
    assert find_discrepancies(again) == []
    assert {refund.id for refund in again.refunds} == {refund.id for refund in books.refunds}


@given(life=LIVES, data=st.data())
def test_a_lost_refund_of_the_order_comes_back_as_it_ended(life: Life, data: st.DataObject) -> None:
    own = [refund for refund in life.books.refunds if refund.bank_id == "visa"]
    if not own:
        return
    lost = data.draw(st.sampled_from(own))
    rest = [refund for refund in life.books.refunds if refund != lost]
    missing = [each.refund for each in find_discrepancies(replace(life.books, refunds=rest)) if each.refund]
    assert [refund.id for refund in missing] == [lost.id]
    noted = {step.note for step in life.books.transitions}
    if f"refund {lost.id} {lost.status}" in noted or lost.status is RefundStatus.REQUESTED:
        assert missing[0].status is lost.status


@given(life=LIVES, data=st.data())
def test_a_document_that_was_changed_is_written_again(life: Life, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(life.books.history) - 1))
    changes = st.sampled_from([{"actor": "eve"}, {"note": "!"}, {"at": AT - timedelta(1)}])
    changed = replace(life.books.history[index], **data.draw(changes))
    history = [*life.books.history[:index], changed, *life.books.history[index + 1 :]]
    books = replace(life.books, history=history)
    assert [each.kind for each in find_discrepancies(books)] == [DiscrepancyKind.HISTORY_MISMATCH]
    assert find_discrepancies(repaired(books, find_discrepancies(books))) == []
    if life.books.payment_documents:
        first = replace(life.books.payment_documents[0], amount=life.books.payment_documents[0].amount + 1)
        books = replace(life.books, payment_documents=[first, *life.books.payment_documents[1:]])
        assert [each.kind for each in find_discrepancies(books)] == [DiscrepancyKind.PAYMENT_DOCUMENT_MISMATCH]
        assert find_discrepancies(repaired(books, find_discrepancies(books))) == []


PAID = [("pay", 250, "USD", True, "visa")]


def paid() -> OrderRecords:
    return lived(PAID).books


def cancelled() -> OrderRecords:
    return lived([*PAID, ("go", *STEPS["cancel"])]).books


def test_a_payment_that_only_its_document_knows_is_kept_again_if_the_order_took_it() -> None:
    books = replace(paid(), payments=[])
    found = find_discrepancies(books)
    assert [each.kind for each in found] == [DiscrepancyKind.PAYMENT_ROW_MISSING]
    assert find_discrepancies(repaired(books, found)) == []


@pytest.mark.parametrize(
    ("kind", "plant"),
    [
        (DiscrepancyKind.HISTORY_UNEXPECTED, lambda books: books.history.append(replace(books.history[0], version=9))),
        (DiscrepancyKind.TRANSITIONS_INCOMPLETE, lambda books: books.steps.pop()),
        (DiscrepancyKind.TRANSITIONS_INCOMPLETE, lambda books: books.steps.clear()),
        (
            DiscrepancyKind.PAYMENT_UNEXPECTED,
            lambda books: books.documents.append(replace(books.documents[0], payment_id="nobody's")),
        ),
        (
            DiscrepancyKind.PAYMENT_UNEXPECTED,
            lambda books: books.documents.insert(0, replace(books.documents.pop(), at=AT + timedelta(1))),
        ),
        (DiscrepancyKind.PAYMENT_MISSING, lambda books: (books.payments.clear(), books.documents.clear())),
        (
            DiscrepancyKind.PAID_AMOUNT_MISMATCH,
            lambda books: setattr(books, "order", replace(books.order, paid_amount=books.order.paid_amount + 1)),
        ),
        (
            DiscrepancyKind.REFUND_UNEXPECTED,
            lambda books: books.refunds.append(replace(books.refunds[0], id="another")),
        ),
        (DiscrepancyKind.PAYMENT_UNEXPECTED, lambda books: (setattr(books, "order", None), books.steps.clear())),
    ],
)
def test_what_nothing_explains_is_reported(kind: DiscrepancyKind, plant: Callable[[OrderRecords], Any]) -> None:
    books = paid()
    plant(books)
    assert kind in [each.kind for each in find_discrepancies(books)]
    assert kind in REPORTED_KINDS


def test_a_refund_whose_amount_exceeds_what_was_paid_is_not_written_into_the_order() -> None:
    books = cancelled()
    too_much = replace(books.refunds[0], id="another", amount=1000, status=RefundStatus.REFUNDED)
    books.refunds.append(too_much)
    assert {each.kind for each in find_discrepancies(books)} == {DiscrepancyKind.REFUND_UNEXPECTED}


def test_an_order_that_counts_its_refunds_wrongly_follows_them() -> None:
    books = lived([*PAID, ("end", 0, RefundStatus.REFUNDED)]).books
    assert books.order is not None
    books.order = replace(books.order, refunded_amount=0, refund_status=RefundStatus.REQUESTED)
    found = find_discrepancies(books)
    assert [each.kind for each in found] == [DiscrepancyKind.REFUND_TOTAL_MISMATCH]
    assert find_discrepancies(repaired(books, found)) == []


def test_refunds_of_a_release_that_gave_them_other_ids_are_taken_for_those_owed() -> None:
    books = cancelled()
    books.refunds = [replace(refund, id=f"by chance {index}") for index, refund in enumerate(books.refunds)]
    assert find_discrepancies(books) == []


def test_an_order_older_than_the_table_of_steps_is_compared_from_its_first_step_on() -> None:
    books = lived([*PAID, ("go", *STEPS["ready"]), ("go", *STEPS["assign"])]).books
    books.transitions = books.transitions[-2:]
    assert find_discrepancies(books) == []
    books.history = books.history[:-1]
    assert [each.kind for each in find_discrepancies(books)] == [DiscrepancyKind.HISTORY_MISSING]


def test_what_is_said_again_is_what_was_said_by_the_same_id() -> None:
    life = lived([("pay", 200, "USD", True, "visa"), ("go", *STEPS["ready"]), ("go", *STEPS["cancel"])])
    steps = reconciliation.select_status_changes(life.books.transitions)
    events = [event_factory.rebuild_event(life.order, step) for step in steps]
    assert [type(event) for event in events] == [OrderCreated, OrderPaid, OrderReady, OrderCancelled]
    record = life.books.payments[0]
    payment = Payment("visa", record.payment_id, "o", 200, "USD", True)
    first = event_factory.build_order_paid(replace(life.order, version=2, updated_at=steps[1].at), payment)
    assert events[1] == first
    assert event_factory.derive_event_id(events[1]) == event_factory.derive_event_id(first)
    assert len({event_factory.derive_event_id(event) for event in events}) == len(events)
    taken = event_factory.rebuild_event(
        replace(life.order, deliverer_id="bob"), replace(steps[0], status=OrderStatus.DELIVERING)
    )
    assert isinstance(taken, OrderAssigned)
    assert taken.deliverer_id == "bob"


def test_outcomes_that_captured_money_are_all_that_are_counted() -> None:
    assert set(PaymentOutcome) - reconciliation.CAPTURED_OUTCOMES == {
        PaymentOutcome.FAILED,
        PaymentOutcome.UNKNOWN_ORDER,
    }
