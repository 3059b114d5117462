"""Metrics of order transitions, refunds and discrepancies."""

import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.orders.adapters import metrics
from services.orders.domain.orders import TRANSITIONS, Item, Order, OrderStatus, Partner, RefundStatus
from services.orders.domain.payments import Refund, RefundResponse
from services.orders.domain.reconciliation import Discrepancy, DiscrepancyKind
from services.runtime.telemetry.metrics import OTHER
from tests.metric_values import read_metric

AT = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Order(
    id="o1",
    status=OrderStatus.PENDING,
    customer_id="ada",
    customer_name=None,
    customer_phone=None,
    partner=Partner(1, "Green Bowl", "B"),
    items=(Item(1, "L", 2, 100),),
    total_amount=200,
    currency="USD",
    paid_amount=0,
    refunded_amount=0,
    refund_status=RefundStatus.NONE,
    bank_id="visa",
    payment_id=None,
    delivery_address="1 Long Street",
    pickup_address=None,
    deliverer_id=None,
    cancel_reason=None,
    version=1,
    created_at=AT,
    updated_at=AT,
)
REFUND = Refund("r1", "visa", "p1", "o1", 150, "USD", RefundStatus.REQUESTED, AT)


def count_transitions(before: str, after: str) -> float:
    return read_metric("delivery_orders_transitions_total", **{"from": before, "to": after})


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, OrderStatus.PENDING), *((old, new) for old in TRANSITIONS for new in sorted(TRANSITIONS[old]))],
)
def test_transition_is_counted(before: OrderStatus | None, after: OrderStatus) -> None:
    count = count_transitions(str(before or "none"), str(after))
    metrics.record_transition(before and replace(ORDER, status=before), replace(ORDER, status=after))
    assert count_transitions(str(before or "none"), str(after)) == count + 1


def test_change_without_transition_is_not_counted() -> None:
    count = read_metric("delivery_orders_transitions_total")
    metrics.record_transition(ORDER, replace(ORDER, delivery_address="2 Long Street", version=2))
    assert read_metric("delivery_orders_transitions_total") == count


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (RefundResponse(is_refunded=True, is_final=True, message=""), "refunded"),
        (RefundResponse(is_refunded=False, is_final=True, message=""), "rejected"),
        (RefundResponse(is_refunded=False, is_final=False, message=""), "failed"),
    ],
)
def test_refund_attempt_is_counted_by_outcome(response: RefundResponse, outcome: str) -> None:
    count = read_metric("delivery_refunds_attempts_total", outcome=outcome)
    metrics.record_refund_attempt(response)
    assert read_metric("delivery_refunds_attempts_total", outcome=outcome) == count + 1


def test_refunded_amounts_are_added_by_currency() -> None:
    amount = read_metric("delivery_refunds_amount_total", currency="USD")
    for _ in range(2):
        metrics.record_refund(REFUND)
    assert read_metric("delivery_refunds_amount_total", currency="USD") == amount + 300


def test_number_of_currency_labels_is_bounded() -> None:
    for number in range(100):
        metrics.record_refund(replace(REFUND, currency=f"X{number:02}"))
    assert read_metric("delivery_refunds_amount_total", currency=OTHER) > 0


@pytest.mark.parametrize("kind", DiscrepancyKind)
def test_discrepancy_is_logged_and_counted(kind: DiscrepancyKind, caplog: pytest.LogCaptureFixture) -> None:
    labels = {"kind": str(kind), "outcome": kind.outcome}
    count = read_metric("delivery_reconciliation_discrepancies_total", **labels)
    with caplog.at_level(logging.INFO):
        metrics.record_discrepancy("o1", Discrepancy(kind, "a detail"))
    assert read_metric("delivery_reconciliation_discrepancies_total", **labels) == count + 1
    assert "o1" in caplog.text
