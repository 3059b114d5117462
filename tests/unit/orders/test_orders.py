"""An order's life as invariants: whatever is asked of it, in whatever order, it never leaves its rules."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from generated.problems import Reason
from services.orders.domain import orders as order_rules
from services.orders.domain import payments as payment_rules
from services.orders.domain.orders import TRANSITIONS, Basket, Item, Order, OrderStatus, Partner, RefundStatus
from services.orders.domain.payments import Payment, PaymentOutcome, PaymentRecord, Refund
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


def order(status: OrderStatus = OrderStatus.PENDING) -> Order:
    return replace(order_rules.create_order("o", "ada", BASKET, AT), status=status)


def payment(amount: int = 200, *, succeeded: bool = True, currency: str = "USD", bank: str = "visa") -> Payment:
    return Payment(bank, "p1", "o", amount, currency, succeeded)


@pytest.mark.parametrize("before", OrderStatus)
@pytest.mark.parametrize("after", OrderStatus)
def test_a_step_is_taken_only_if_the_life_of_an_order_has_it(before: OrderStatus, after: OrderStatus) -> None:
    if after in TRANSITIONS[before]:
        moved = order_rules.transition(order(before), after, AT)
        assert (moved.status, moved.version) == (after, 2)
    else:
        with pytest.raises(ApiError) as refused:
            order_rules.transition(order(before), after, AT)
        assert refused.value.reason is Reason.ORDER_STATE_CONFLICT


@pytest.mark.parametrize(
    ("paid", "status", "outcome", "refund"),
    [
        (payment(200), OrderStatus.PENDING, PaymentOutcome.PAID, 0),
        (payment(250), OrderStatus.PENDING, PaymentOutcome.OVERPAID, 50),
        (payment(199), OrderStatus.PENDING, PaymentOutcome.INSUFFICIENT, 199),
        (payment(200, currency="EUR"), OrderStatus.PENDING, PaymentOutcome.INSUFFICIENT, 200),
        (payment(200, succeeded=False), OrderStatus.PENDING, PaymentOutcome.FAILED, 0),
        (payment(200), OrderStatus.PAID, PaymentOutcome.CONFLICT, 200),
        (payment(200), OrderStatus.CANCELLED, PaymentOutcome.CONFLICT, 200),
        (payment(200), OrderStatus.EXPIRED, PaymentOutcome.CONFLICT, 200),
        (payment(200, bank="km"), OrderStatus.PENDING, PaymentOutcome.UNKNOWN_ORDER, 200),
    ],
)
def test_what_comes_of_a_payment(paid: Payment, status: OrderStatus, outcome: PaymentOutcome, refund: int) -> None:
    assert payment_rules.evaluate_payment(order(status), paid) == (outcome, refund)


def test_a_payment_for_no_order_goes_back() -> None:
    assert payment_rules.evaluate_payment(None, payment()) == (PaymentOutcome.UNKNOWN_ORDER, 200)


@given(status=st.sampled_from(OrderStatus), amount=st.integers(0, 1000), succeeded=st.booleans())
def test_captured_money_pays_the_order_or_goes_back(status: OrderStatus, amount: int, succeeded: bool) -> None:
    before = order(status)
    paid = payment(amount, succeeded=succeeded)
    outcome, refund = payment_rules.evaluate_payment(before, paid)
    after = payment_rules.apply_payment(before, paid, outcome, refund, AT)
    kept = (paid.amount if succeeded else 0) - refund
    assert kept == (before.total_amount if outcome in (PaymentOutcome.PAID, PaymentOutcome.OVERPAID) else 0)
    assert (after.status is OrderStatus.PAID and before.status is OrderStatus.PENDING) == (kept > 0)
    assert after.paid_amount - before.paid_amount == (amount if succeeded else 0)


@given(who=st.sampled_from(["ada", "bob", "eve"]), role=st.sampled_from(["customer", "deliverer", "admin", None]))
def test_an_order_exists_for_its_customer_its_deliverer_and_admins_only(who: str, role: str | None) -> None:
    seen = order_rules.is_visible_to(replace(order(), deliverer_id="bob"), who, role)
    assert seen == (who in ("ada", "bob") or role == "admin")


@pytest.mark.parametrize(
    ("status", "who", "role", "reason"),
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
def test_who_may_cancel_and_when(status: OrderStatus, who: str, role: str, reason: Reason | None) -> None:
    before = order(status)
    if reason is None:
        after = order_rules.cancel(before, who, role, "why not", AT)
        assert (after.status, after.cancel_reason, after.version) == (OrderStatus.CANCELLED, "why not", 2)
        return
    with pytest.raises(ApiError) as refused:
        order_rules.cancel(before, who, role, None, AT)
    assert refused.value.reason is reason


class Life(RuleBasedStateMachine):
    """Customers, banks, partners, deliverers and the clock ask for anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.order = order()
        self.captured = {"USD": 0, "EUR": 0}
        self.refunds: list[Refund] = []

    @rule(amount=st.integers(0, 400), succeeded=st.booleans(), currency=st.sampled_from(["USD", "USD", "EUR"]))
    def pay(self, amount: int, succeeded: bool, currency: str) -> None:
        paid = payment(amount, succeeded=succeeded, currency=currency)
        outcome, back = payment_rules.evaluate_payment(self.order, paid)
        self.order = payment_rules.apply_payment(self.order, paid, outcome, back, AT)
        self.captured[currency] += amount if succeeded else 0
        if back:
            record = PaymentRecord("visa", "p1", "o", amount, currency, outcome, back, AT)
            self.refunds.append(payment_rules.create_payment_refund(record))

    @rule(who=st.sampled_from([("ada", "customer"), ("eve", "customer"), ("root", "admin")]))
    def cancel(self, who: tuple[str, str]) -> None:
        before = self.order
        self.attempt(lambda: order_rules.cancel(self.order, *who, None, AT))
        if self.order is not before and (back := payment_rules.create_cancellation_refund(before, AT)):
            self.refunds.append(back)
            self.order = replace(self.order, refund_status=RefundStatus.REQUESTED)

    @rule()
    def expire(self) -> None:
        self.attempt(lambda: order_rules.expire(self.order, AT))

    @precondition(lambda self: self.refunds)
    @rule(data=st.data(), status=st.sampled_from([RefundStatus.REFUNDED, RefundStatus.FAILED]))
    def the_bank_answers(self, data: st.DataObject, status: RefundStatus) -> None:
        index = data.draw(st.integers(0, len(self.refunds) - 1))
        if self.refunds[index].status is RefundStatus.REQUESTED:
            self.refunds[index] = replace(self.refunds[index], status=status)
            self.order = payment_rules.apply_refunds(self.order, self.refunds, AT)

    @rule()
    def ready(self) -> None:
        self.attempt(lambda: order_rules.mark_ready(self.order, "1 Market Square", AT))

    @rule(who=st.sampled_from(["bob", "eve"]))
    def assign(self, who: str) -> None:
        self.attempt(lambda: order_rules.assign(self.order, who, AT))

    @rule(who=st.sampled_from(["bob", "eve"]))
    def complete(self, who: str) -> None:
        self.attempt(lambda: order_rules.complete(self.order, who, AT))

    def attempt(self, step: Callable[[], Order]) -> None:
        before = self.order
        try:
            self.order = step()
        except ApiError:
            assert self.order == before
        else:
            assert self.order.status is before.status or self.order.status in TRANSITIONS[before.status]
            assert before.deliverer_id in (None, self.order.deliverer_id)
            assert self.order is before or self.order.version == before.version + 1

    @invariant()
    def what_was_captured_pays_the_order_or_goes_back(self) -> None:
        paid = self.order.status not in (OrderStatus.PENDING, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
        for currency, captured in self.captured.items():
            going = sum(refund.amount for refund in self.refunds if refund.currency == currency)
            assert captured == going + (self.order.total_amount if paid and currency == "USD" else 0)
        assert self.order.paid_amount == self.captured["USD"]

    @invariant()
    def the_order_says_where_its_refunds_stand(self) -> None:
        assert (self.order.refund_status, self.order.refunded_amount) == payment_rules.summarise_refunds(
            self.order, self.refunds
        )
        assert self.order.refunded_amount <= self.order.paid_amount

    @invariant()
    def a_delivery_has_a_deliverer(self) -> None:
        if self.order.status in (OrderStatus.DELIVERING, OrderStatus.DELIVERED):
            assert self.order.deliverer_id is not None


TestLife = Life.TestCase
