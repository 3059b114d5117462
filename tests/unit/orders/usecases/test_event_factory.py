"""Events of orders: ids derived from the content, and rebuilt events equal to the original ones."""

from dataclasses import replace
from datetime import timedelta

import pytest

from generated.proto.delivery.events.v1 import (
    OrderAssigned,
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderPaid,
    OrderReady,
    PaymentOutcome,
)
from services.orders.domain import payments
from services.orders.domain.orders import HistoryEntry, OrderStatus, RefundStatus
from services.orders.domain.payments import Payment, PaymentRecord, Refund
from services.orders.usecases import event_factory
from services.orders.usecases.event_ids import derive_event_id
from tests.unit.fake_transactions import NOW
from tests.unit.orders.fakes import build_order

ORDER = replace(
    build_order(OrderStatus.DELIVERED),
    pickup_address="1 Market Square",
    deliverer_id="bob",
    cancel_reason="why not",
    version=5,
    updated_at=NOW + timedelta(hours=1),
)
REFUND = Refund("r1", "visa", "p1", "o1", 200, "USD", RefundStatus.REQUESTED, NOW)
RECORD = PaymentRecord("visa", "p1", "o1", 250, "USD", payments.PaymentOutcome.OVERPAID, 50, NOW)
YEN = Payment("visa", "p1", "o1", 250, "JPY", succeeded=True)


@pytest.mark.parametrize(
    ("status", "event_type", "fields"),
    [
        (OrderStatus.PENDING, OrderCreated, {}),
        (OrderStatus.PAID, OrderPaid, {"payment_id": "p1"}),
        (OrderStatus.READY, OrderReady, {"pickup_address": "1 Market Square"}),
        (OrderStatus.DELIVERING, OrderAssigned, {"deliverer_id": "bob"}),
        (OrderStatus.DELIVERED, OrderDelivered, {"deliverer_id": "bob"}),
        (OrderStatus.CANCELLED, OrderCancelled, {"reason": "why not"}),
        (OrderStatus.EXPIRED, OrderExpired, {}),
    ],
)
def test_rebuilt_event_describes_past_transition(status: OrderStatus, event_type: type, fields: dict[str, str]) -> None:
    event = event_factory.rebuild_event(ORDER, HistoryEntry("o1", 2, status, NOW, "actor"))
    assert type(event) is event_type
    assert {name: getattr(event, name) for name in fields} == fields
    assert (event.order.order_id, event.order.version, event.order.at, event.order.actor) == ("o1", 2, NOW, "actor")
    assert (event.order.customer_id, event.order.partner_id) == ("ada", 1)
    assert (event.order.total_amount, event.order.currency) == (200, "USD")


@pytest.mark.parametrize("note", [None, "No onions"])
def test_rebuilt_paid_event_equals_original(note: str | None) -> None:
    paid = replace(build_order(OrderStatus.PAID), version=2, note=note)
    original = event_factory.build_order_paid(paid, payments.Payment("visa", "p1", "o1", 200, "USD", succeeded=True))
    current = replace(ORDER, note=note)
    rebuilt = event_factory.rebuild_event(current, HistoryEntry("o1", 2, OrderStatus.PAID, NOW, "bank:visa"))
    assert (rebuilt, original.note) == (original, note)
    assert derive_event_id(rebuilt) == derive_event_id(original)
    assert [(line.product_id, line.title, line.quantity) for line in original.items] == [(1, "Lemonade", 2)]


def test_event_ids_differ_by_type_and_version() -> None:
    events = [
        event_factory.rebuild_event(ORDER, HistoryEntry("o1", version, status, NOW, "actor"))
        for version in (1, 2, 12)
        for status in OrderStatus
    ]
    assert len({derive_event_id(event) for event in events}) == len(events)


def test_refund_event_ids_differ_by_type_and_refund() -> None:
    events = [
        build(refund)
        for refund in (REFUND, replace(REFUND, id="r2"))
        for build in (
            event_factory.build_refund_requested,
            lambda refund: event_factory.build_refunded(refund, "ada", NOW),
            lambda refund: event_factory.build_refund_failed(refund, "no", NOW),
        )
    ]
    assert len({derive_event_id(event) for event in events}) == 6
    repeated = event_factory.build_refunded(REFUND, None, NOW + timedelta(days=1))
    assert derive_event_id(repeated) == derive_event_id(events[1])


def test_never_republished_events_have_no_derived_id() -> None:
    assert derive_event_id(event_factory.build_payment_recorded(RECORD)) is None
    assert derive_event_id(event_factory.build_unknown_order_alert(RECORD)) is None
    assert derive_event_id(OrderCreated()) is None


@pytest.mark.parametrize("outcome", payments.PaymentOutcome)
def test_payment_event_contains_outcome(outcome: payments.PaymentOutcome) -> None:
    event = event_factory.build_payment_recorded(replace(RECORD, outcome=outcome))
    assert event.outcome is PaymentOutcome[outcome.name]
    assert (event.bank_id, event.payment_id, event.order_id) == ("visa", "p1", "o1")
    assert (event.amount, event.currency, event.refund_amount, event.at) == (250, "USD", 50, NOW)


def test_refund_events_contain_refund() -> None:
    for event in (
        event_factory.build_refund_requested(REFUND),
        event_factory.build_refunded(REFUND, "ada", NOW),
        event_factory.build_refund_failed(REFUND, "no", NOW),
    ):
        assert (event.refund_id, event.bank_id, event.payment_id, event.order_id) == ("r1", "visa", "p1", "o1")
        assert (event.amount, event.currency) == (200, "USD")


@pytest.mark.parametrize(
    ("alert", "subject", "reason", "detail"),
    [
        (event_factory.build_refund_alert(REFUND, "404", NOW), "refund:r1", "REFUND_FAILED", "of $2.00 to"),
        (event_factory.build_unknown_order_alert(RECORD), "payment:visa:p1", "PAYMENT_FOR_UNKNOWN_ORDER", "of $2.50"),
        (event_factory.build_duplicate_payment_alert(YEN, NOW), "payment:visa:p1", "PAYMENT_ID_REUSED", "¥250 for"),
        (event_factory.build_lost_payment_alert(YEN, NOW), "payment:visa:p1", "PAYMENT_NOT_RECORDED", "¥250 for"),
        (event_factory.build_order_alert("o1", "R", "D", NOW), "order:o1", "R", "D"),
    ],
)
def test_alert_names_subject_reason_and_amount(alert, subject: str, reason: str, detail: str) -> None:
    assert (alert.subject, alert.reason, alert.at) == (subject, reason, NOW)
    assert detail in alert.detail
