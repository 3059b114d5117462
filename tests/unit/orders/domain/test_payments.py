"""Payments and refunds: boundaries of the outcome, derived refund ids, totals of an order's refunds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders.domain import payments
from services.orders.domain.orders import OrderStatus, RefundStatus
from services.orders.domain.payments import Payment, PaymentOutcome, PaymentRecord, Refund
from tests.unit.fake_transactions import NOW
from tests.unit.orders.fakes import build_order

PAYMENT = Payment("visa", "p1", "o1", 200, "USD", succeeded=True)
RECORD = PaymentRecord("visa", "p1", "o1", 250, "USD", PaymentOutcome.OVERPAID, 50, NOW)
REFUND = Refund("r1", "visa", "p1", "o1", 50, "USD", RefundStatus.REQUESTED, NOW)
REFUNDS = st.builds(
    replace,
    st.just(REFUND),
    amount=st.integers(0, 100),
    currency=st.sampled_from(["USD", "EUR"]),
    status=st.sampled_from([RefundStatus.REQUESTED, RefundStatus.REFUNDED, RefundStatus.FAILED]),
)


@pytest.mark.parametrize(
    ("amount", "outcome", "refund_amount"),
    [
        (0, PaymentOutcome.INSUFFICIENT, 0),
        (199, PaymentOutcome.INSUFFICIENT, 199),
        (200, PaymentOutcome.PAID, 0),
        (201, PaymentOutcome.OVERPAID, 1),
    ],
)
def test_amount_decides_outcome(amount: int, outcome: PaymentOutcome, refund_amount: int) -> None:
    payment = replace(PAYMENT, amount=amount)
    assert payments.evaluate_payment(build_order(), payment) == (outcome, refund_amount)


def test_overpaid_order_is_changed_and_excess_refunded() -> None:
    payment = replace(PAYMENT, amount=250)
    record, order, refund = payments.resolve_payment(build_order(), payment, NOW)
    assert record == RECORD
    assert order == payments.apply_payment(build_order(), payment, PaymentOutcome.OVERPAID, 50, NOW)
    assert refund == payments.create_payment_refund(RECORD)


def test_failed_payment_changes_no_order_and_needs_no_refund() -> None:
    failed = replace(PAYMENT, succeeded=False)
    record, order, refund = payments.resolve_payment(build_order(), failed, NOW)
    assert (record.outcome, order, refund) == (PaymentOutcome.FAILED, None, None)


def test_captured_payment_for_unknown_order_is_refunded() -> None:
    record, order, refund = payments.resolve_payment(None, PAYMENT, NOW)
    assert (record.outcome, order) == (PaymentOutcome.UNKNOWN_ORDER, None)
    assert refund is not None
    assert refund.amount == 200


def test_failed_payment_is_evaluated_first() -> None:
    payment = replace(PAYMENT, succeeded=False, bank_id="km")
    assert payments.evaluate_payment(None, payment) == (PaymentOutcome.FAILED, 0)


@pytest.mark.parametrize(
    ("payment", "outcome"),
    [
        (replace(PAYMENT, succeeded=False), PaymentOutcome.FAILED),
        (PAYMENT, PaymentOutcome.UNKNOWN_ORDER),
    ],
)
def test_payment_without_effect_returns_same_order(payment: Payment, outcome: PaymentOutcome) -> None:
    order = build_order()
    assert payments.apply_payment(order, payment, outcome, 0, NOW) is order


def test_captured_foreign_currency_is_not_counted_as_paid() -> None:
    payment = replace(PAYMENT, currency="EUR")
    after = payments.apply_payment(build_order(), payment, PaymentOutcome.INSUFFICIENT, 200, NOW)
    assert (after.paid_amount, after.payment_id, after.status) == (0, None, OrderStatus.PENDING)
    assert (after.refund_status, after.version) == (RefundStatus.REQUESTED, 2)


def test_conflicting_payment_retains_id_of_first_payment() -> None:
    order = build_order(OrderStatus.PAID)
    payment = replace(PAYMENT, payment_id="p2")
    after = payments.apply_payment(order, payment, PaymentOutcome.CONFLICT, 200, NOW)
    assert (after.paid_amount, after.payment_id, after.status) == (400, "p1", OrderStatus.PAID)


def test_refund_ids_are_derived_from_cause() -> None:
    order = build_order(OrderStatus.PAID)
    causes = [
        payments.create_payment_refund(RECORD),
        payments.create_payment_refund(replace(RECORD, payment_id="p2")),
        payments.create_payment_refund(replace(RECORD, bank_id="km")),
        payments.create_payment_refund(replace(RECORD, bank_id="vis", payment_id="ap1")),
        payments.create_cancellation_refund(order, NOW),
    ]
    assert len({refund.id for refund in causes if refund is not None}) == len(causes)
    assert payments.create_payment_refund(replace(RECORD, amount=1)).id == causes[0].id
    assert payments.create_payment_refund(RECORD).amount == 50


@pytest.mark.parametrize("order", [build_order(), replace(build_order(OrderStatus.PAID), total_amount=0)])
def test_cancelled_order_without_paid_amount_needs_no_refund(order) -> None:
    assert payments.create_cancellation_refund(order, NOW) is None


def test_cancellation_refunds_total_not_excess() -> None:
    refund = payments.create_cancellation_refund(replace(build_order(OrderStatus.PAID), paid_amount=250), NOW)
    assert refund is not None
    assert (refund.amount, refund.payment_id, refund.order_id) == (200, "p1", "o1")


@given(st.lists(REFUNDS, max_size=6))
def test_refund_totals_count_own_currency_once(refunds: list[Refund]) -> None:
    order = build_order(OrderStatus.CANCELLED)
    after = payments.apply_refunds(order, refunds, NOW)
    refunded = [refund for refund in refunds if refund.status is RefundStatus.REFUNDED]
    assert after.refunded_amount == sum(refund.amount for refund in refunded if refund.currency == "USD")
    statuses = {refund.status for refund in refunds}
    assert (after.refund_status is RefundStatus.REQUESTED) == (RefundStatus.REQUESTED in statuses)
    assert (after.refund_status is RefundStatus.REFUNDED) == (statuses == {RefundStatus.REFUNDED})
    assert payments.apply_refunds(after, refunds, NOW) is after
