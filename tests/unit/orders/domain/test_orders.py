"""State machine of orders, payment evaluation and their invariants under any sequence of operations."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from generated.problems import Reason
from services.orders.domain import orders as order_rules
from services.orders.domain.orders import TRANSITIONS, Basket, Item, Order, OrderStatus, Partner, RefundStatus
from services.orders.domain.payments import (
    Payment,
    PaymentOutcome,
    PaymentRecord,
    Refund,
    apply_payment,
    apply_refunds,
    create_cancellation_refund,
    create_payment_refund,
    evaluate_payment,
    summarise_refunds,
)
from services.runtime.core.errors import ApiError

AT = datetime(2026, 1, 1, tzinfo=UTC)
BASKET = Basket(
    partner=Partner(1, "Green Bowl", "Bowls"),
    items=(Item(1, "Lemonade", 2, 100),),
    total_amount=200,
    currency="USD",
    bank_id="visa",
    delivery_address="1 Long Street",
    customer_name=None,
    customer_phone=None,
)


def build_order(status: OrderStatus = OrderStatus.PENDING) -> Order:
    return replace(order_rules.create_order("o", "ada", BASKET, AT), status=status)


def build_payment(
    amount: int = 200, *, succeeded: bool = True, currency: str = "USD", bank_id: str = "visa"
) -> Payment:
    return Payment(bank_id, "p1", "o", amount, currency, succeeded)


@pytest.mark.parametrize("before", OrderStatus)
@pytest.mark.parametrize("after", OrderStatus)
def test_transition_outside_state_machine_raises_conflict(before: OrderStatus, after: OrderStatus) -> None:
    if after in TRANSITIONS[before]:
        order = order_rules.transition(build_order(before), after, AT)
        assert (order.status, order.version) == (after, 2)
    else:
        with pytest.raises(ApiError) as raised:
            order_rules.transition(build_order(before), after, AT)
        assert raised.value.reason is Reason.ORDER_STATE_CONFLICT


@pytest.mark.parametrize(
    ("payment", "status", "outcome", "refund_amount"),
    [
        (build_payment(200), OrderStatus.PENDING, PaymentOutcome.PAID, 0),
        (build_payment(250), OrderStatus.PENDING, PaymentOutcome.OVERPAID, 50),
        (build_payment(199), OrderStatus.PENDING, PaymentOutcome.INSUFFICIENT, 199),
        (build_payment(200, currency="EUR"), OrderStatus.PENDING, PaymentOutcome.INSUFFICIENT, 200),
        (build_payment(200, succeeded=False), OrderStatus.PENDING, PaymentOutcome.FAILED, 0),
        (build_payment(200), OrderStatus.PAID, PaymentOutcome.CONFLICT, 200),
        (build_payment(200), OrderStatus.CANCELLED, PaymentOutcome.CONFLICT, 200),
        (build_payment(200), OrderStatus.EXPIRED, PaymentOutcome.CONFLICT, 200),
        (build_payment(200, bank_id="km"), OrderStatus.PENDING, PaymentOutcome.UNKNOWN_ORDER, 200),
    ],
)
def test_evaluate_payment_returns_outcome_and_refund_amount(
    payment: Payment, status: OrderStatus, outcome: PaymentOutcome, refund_amount: int
) -> None:
    assert evaluate_payment(build_order(status), payment) == (outcome, refund_amount)


def test_payment_for_unknown_order_is_refunded() -> None:
    assert evaluate_payment(None, build_payment()) == (PaymentOutcome.UNKNOWN_ORDER, 200)


@given(status=st.sampled_from(OrderStatus), amount=st.integers(0, 1000), succeeded=st.booleans())
def test_captured_amount_pays_order_or_is_refunded(status: OrderStatus, amount: int, succeeded: bool) -> None:
    before = build_order(status)
    payment = build_payment(amount, succeeded=succeeded)
    outcome, refund_amount = evaluate_payment(before, payment)
    after = apply_payment(before, payment, outcome, refund_amount, AT)
    retained = (payment.amount if succeeded else 0) - refund_amount
    assert retained == (before.total_amount if outcome in (PaymentOutcome.PAID, PaymentOutcome.OVERPAID) else 0)
    assert (after.status is OrderStatus.PAID and before.status is OrderStatus.PENDING) == (retained > 0)
    assert after.paid_amount - before.paid_amount == (amount if succeeded else 0)


@given(user_id=st.sampled_from(["ada", "bob", "eve"]), role=st.sampled_from(["customer", "deliverer", "admin", None]))
def test_order_is_visible_to_customer_deliverer_and_admin_only(user_id: str, role: str | None) -> None:
    is_visible = order_rules.is_visible_to(replace(build_order(), deliverer_id="bob"), user_id, role)
    assert is_visible == (user_id in ("ada", "bob") or role == "admin")


@pytest.mark.parametrize(
    ("status", "user_id", "role", "reason"),
    [
        (OrderStatus.PENDING, "ada", "customer", None),
        (OrderStatus.PAID, "ada", "customer", None),
        (OrderStatus.READY, "ada", "customer", Reason.ORDER_STATE_CONFLICT),
        (OrderStatus.PENDING, "root", "admin", None),
        (OrderStatus.READY, "root", "admin", None),
        (OrderStatus.DELIVERING, "root", "admin", Reason.ORDER_STATE_CONFLICT),
        (OrderStatus.DELIVERED, "ada", "customer", Reason.ORDER_STATE_CONFLICT),
        (OrderStatus.CANCELLED, "ada", "customer", Reason.ORDER_STATE_CONFLICT),
        (OrderStatus.EXPIRED, "root", "admin", Reason.ORDER_STATE_CONFLICT),
        (OrderStatus.PENDING, "eve", "customer", Reason.ORDER_NOT_FOUND),
        (OrderStatus.READY, "eve", "customer", Reason.ORDER_NOT_FOUND),
    ],
)
def test_cancel_checks_caller_and_status(status: OrderStatus, user_id: str, role: str, reason: Reason | None) -> None:
    before = build_order(status)
    if reason is None:
        after = order_rules.cancel(before, user_id, role, "why not", AT)
        assert (after.status, after.cancel_reason, after.version) == (OrderStatus.CANCELLED, "why not", 2)
        return
    with pytest.raises(ApiError) as raised:
        order_rules.cancel(before, user_id, role, None, AT)
    assert raised.value.reason is reason


class OrderMachine(RuleBasedStateMachine):
    """Operations of customers, banks, partners, deliverers and the clock, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.order = build_order()
        self.captured = {"USD": 0, "EUR": 0}
        self.refunds: list[Refund] = []

    @rule(amount=st.integers(0, 400), succeeded=st.booleans(), currency=st.sampled_from(["USD", "USD", "EUR"]))
    def pay(self, amount: int, succeeded: bool, currency: str) -> None:
        payment = build_payment(amount, succeeded=succeeded, currency=currency)
        outcome, refund_amount = evaluate_payment(self.order, payment)
        self.order = apply_payment(self.order, payment, outcome, refund_amount, AT)
        self.captured[currency] += amount if succeeded else 0
        if refund_amount:
            record = PaymentRecord("visa", "p1", "o", amount, currency, outcome, refund_amount, AT)
            self.refunds.append(create_payment_refund(record))

    @rule(caller=st.sampled_from([("ada", "customer"), ("eve", "customer"), ("root", "admin")]))
    def cancel(self, caller: tuple[str, str]) -> None:
        before = self.order
        self.attempt(lambda: order_rules.cancel(self.order, *caller, None, AT))
        if self.order is not before and (refund := create_cancellation_refund(before, AT)):
            self.refunds.append(refund)
            self.order = replace(self.order, refund_status=RefundStatus.REQUESTED)

    @rule()
    def expire(self) -> None:
        self.attempt(lambda: order_rules.expire(self.order, AT))

    @precondition(lambda self: self.refunds)
    @rule(data=st.data(), status=st.sampled_from([RefundStatus.REFUNDED, RefundStatus.FAILED]))
    def complete_refund(self, data: st.DataObject, status: RefundStatus) -> None:
        index = data.draw(st.integers(0, len(self.refunds) - 1))
        if self.refunds[index].status is RefundStatus.REQUESTED:
            self.refunds[index] = replace(self.refunds[index], status=status)
            self.order = apply_refunds(self.order, self.refunds, AT)

    @rule()
    def mark_ready(self) -> None:
        self.attempt(lambda: order_rules.mark_ready(self.order, "1 Market Square", AT))

    @rule(deliverer_id=st.sampled_from(["bob", "eve"]))
    def assign(self, deliverer_id: str) -> None:
        self.attempt(lambda: order_rules.assign(self.order, deliverer_id, AT))

    @rule(deliverer_id=st.sampled_from(["bob", "eve"]))
    def complete(self, deliverer_id: str) -> None:
        self.attempt(lambda: order_rules.complete(self.order, deliverer_id, AT))

    def attempt(self, operation: Callable[[], Order]) -> None:
        before = self.order
        try:
            self.order = operation()
        except ApiError:
            assert self.order == before
        else:
            assert self.order.status is before.status or self.order.status in TRANSITIONS[before.status]
            assert before.deliverer_id in (None, self.order.deliverer_id)
            assert self.order is before or self.order.version == before.version + 1

    @invariant()
    def captured_amount_pays_order_or_is_refunded(self) -> None:
        is_paid = self.order.status not in (OrderStatus.PENDING, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
        for currency, captured in self.captured.items():
            refund_amount = sum(refund.amount for refund in self.refunds if refund.currency == currency)
            assert captured == refund_amount + (self.order.total_amount if is_paid and currency == "USD" else 0)
        assert self.order.paid_amount == self.captured["USD"]

    @invariant()
    def order_reflects_its_refunds(self) -> None:
        assert (self.order.refund_status, self.order.refunded_amount) == summarise_refunds(self.order, self.refunds)
        assert self.order.refunded_amount <= self.order.paid_amount

    @invariant()
    def delivery_has_a_deliverer(self) -> None:
        if self.order.status in (OrderStatus.DELIVERING, OrderStatus.DELIVERED):
            assert self.order.deliverer_id is not None


TestOrderMachine = OrderMachine.TestCase
