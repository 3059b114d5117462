"""Payments that banks report: idempotency by webhook and payment, rejections after the commit, and refunds."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from generated.proto.delivery.events.v1 import OrderPaid, PaymentRecorded, RefundRequested, SystemAlert
from services.orders.domain.orders import OrderStatus, RefundStatus
from services.orders.domain.payments import Payment, PaymentFilter, PaymentOutcome, PaymentRecord, ProcessedCallback
from services.orders.usecases import payment_callbacks
from services.orders.usecases.payment_callbacks import handle_payment_callback, process_payment
from services.runtime.core.errors import ApiError
from services.runtime.storage.encryption import SecretBox
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.orders.fakes import ADA, ADMIN, BANK, FakeHistory, FakeRepository, build_order

PAYMENT = Payment("visa", "p1", "o1", 200, "USD", succeeded=True)
FAILED = replace(PAYMENT, succeeded=False)


async def test_payment_pays_order() -> None:
    repository = FakeRepository(build_order())
    assert await process_payment(repository, repository.clock, PAYMENT, "w1") == "p1"
    order = repository.orders["o1"]
    assert (order.status, order.paid_amount, order.payment_id) == (OrderStatus.PAID, 200, "p1")
    assert [type(event) for event in repository.events] == [PaymentRecorded, OrderPaid]
    assert (repository.transitions[-1].actor, repository.transitions[-1].note) == ("bank:visa", "payment p1")
    assert repository.refunds == {}


@pytest.mark.parametrize("webhook_id", ["w1", "w2"])
async def test_repeated_payment_changes_nothing(webhook_id: str) -> None:
    repository = FakeRepository(build_order())
    await process_payment(repository, repository.clock, PAYMENT, "w1")
    after, events = repository.orders["o1"], list(repository.events)
    assert await process_payment(repository, repository.clock, PAYMENT, webhook_id) == "p1"
    assert (repository.orders["o1"], repository.events) == (after, events)


async def test_overpaid_amount_is_refunded() -> None:
    repository = FakeRepository(build_order())
    await process_payment(repository, repository.clock, replace(PAYMENT, amount=250), "w1")
    (refund,) = repository.refunds.values()
    assert refund.amount == 50
    assert repository.orders["o1"].refund_status is RefundStatus.REQUESTED
    assert [type(event) for event in repository.events] == [PaymentRecorded, OrderPaid, RefundRequested]


@pytest.mark.parametrize(
    ("status", "changes", "reason"),
    [
        (OrderStatus.PENDING, {"amount": 199}, Reason.PAYMENT_INSUFFICIENT),
        (OrderStatus.PENDING, {"currency": "EUR"}, Reason.PAYMENT_INSUFFICIENT),
        (OrderStatus.EXPIRED, {}, Reason.PAYMENT_CONFLICT),
        (OrderStatus.PENDING, {"order_id": "unknown"}, Reason.ORDER_NOT_FOUND),
        (OrderStatus.PENDING, {"bank_id": "km"}, Reason.ORDER_NOT_FOUND),
    ],
)
async def test_rejected_payment_is_recorded_and_refunded(
    status: OrderStatus, changes: dict[str, str], reason: Reason
) -> None:
    repository = FakeRepository(build_order(status))
    payment = replace(PAYMENT, **changes)
    for _ in range(2):
        with raises_reason(reason):
            await process_payment(repository, repository.clock, payment, "w1")
    (record,) = repository.payments.values()
    (refund,) = repository.refunds.values()
    assert record.refund_amount == refund.amount == payment.amount
    assert refund.currency == payment.currency
    assert repository.orders["o1"].status is status
    alerts = [event for event in repository.events if isinstance(event, SystemAlert)]
    assert len(alerts) == (reason is Reason.ORDER_NOT_FOUND)


async def test_failed_payment_may_succeed_later() -> None:
    repository = FakeRepository(build_order())
    await process_payment(repository, repository.clock, FAILED, "w1")
    assert repository.orders["o1"] == build_order()
    assert await process_payment(repository, repository.clock, PAYMENT, "w2") == "p1"
    assert repository.orders["o1"].status is OrderStatus.PAID


@pytest.mark.parametrize(
    ("changes", "refund_amount"),
    [
        ({"payment_id": "p2"}, 200),
        ({"payment_id": "p2", "amount": 150}, 150),
        ({"payment_id": "p2", "order_id": "unknown"}, 200),
        ({"payment_id": "p2", "succeeded": False}, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("first", [PAYMENT, FAILED], ids=["paid", "failed"])
async def test_other_payment_with_used_webhook_id_is_rejected_and_refunded(
    first: Payment, changes: dict[str, object], refund_amount: int
) -> None:
    repository = FakeRepository(build_order())
    await process_payment(repository, repository.clock, first, "w1")
    status = repository.orders["o1"].status
    other = replace(PAYMENT, **changes)
    for _ in range(2):
        with raises_reason(Reason.WEBHOOK_ID_REUSED):
            await process_payment(repository, repository.clock, other, "w1")
    assert repository.payments["visa", "p2"].refund_amount == refund_amount
    assert sum(refund.amount for refund in repository.refunds.values()) == refund_amount
    assert repository.orders["o1"].status is status
    assert await process_payment(repository, repository.clock, first, "w1") == "p1"


@pytest.mark.parametrize("webhook_id", ["w1", "w2"])
@pytest.mark.parametrize("changes", [{"order_id": "o2"}, {"amount": 500}, {"currency": "EUR"}], ids=str)
async def test_used_payment_id_for_other_order_or_amount_is_rejected(
    changes: dict[str, object], webhook_id: str
) -> None:
    repository = FakeRepository(build_order(), build_order(order_id="o2"))
    await process_payment(repository, repository.clock, PAYMENT, "w1")
    reported = replace(PAYMENT, **changes)
    reason = Reason.WEBHOOK_ID_REUSED if webhook_id == "w1" else Reason.PAYMENT_ID_REUSED
    for _ in range(2):
        with raises_reason(reason):
            await process_payment(repository, repository.clock, reported, webhook_id)
    (record,) = repository.rejected.values()
    assert (record.outcome, record.refund_amount, record.is_for(reported)) == (PaymentOutcome.DUPLICATE_ID, 0, True)
    assert repository.payments["visa", "p1"].outcome is PaymentOutcome.PAID
    assert repository.orders["o2"].status is OrderStatus.PENDING
    assert repository.refunds == {}
    (alert,) = [event for event in repository.events if isinstance(event, SystemAlert)]
    assert (alert.subject, alert.reason) == ("payment:visa:p1", "PAYMENT_ID_REUSED")
    assert record.order_id in alert.detail
    outcomes = [event.outcome.name for event in repository.events if isinstance(event, PaymentRecorded)]
    assert outcomes == ["PAID", "DUPLICATE_ID"]


async def test_callback_of_earlier_release_is_repeated_by_its_payment_id() -> None:
    repository = FakeRepository(build_order())
    repository.callbacks["visa", "w1"] = ProcessedCallback("p1", PaymentOutcome.PAID)
    assert await process_payment(repository, repository.clock, PAYMENT, "w1") == "p1"
    assert repository.events == []
    with raises_reason(Reason.WEBHOOK_ID_REUSED):
        await process_payment(repository, repository.clock, replace(PAYMENT, payment_id="p2"), "w1")


async def test_repeated_failure_is_recorded_once() -> None:
    repository = FakeRepository(build_order())
    for webhook_id in ("w1", "w2"):
        await process_payment(repository, repository.clock, FAILED, webhook_id)
    assert [type(event) for event in repository.events] == [PaymentRecorded]


@pytest.mark.parametrize("webhook_id", ["w1", "w2"])
@pytest.mark.parametrize(
    ("changes", "rejection"),
    [({}, None), ({"amount": 100}, Reason.PAYMENT_INSUFFICIENT), ({"order_id": "unknown"}, Reason.ORDER_NOT_FOUND)],
    ids=["paid", "insufficient", "unknown-order"],
)
async def test_failure_after_success_is_rejected_and_recorded(
    changes: dict[str, object], rejection: Reason | None, webhook_id: str
) -> None:
    repository = FakeRepository(build_order())
    payment = replace(PAYMENT, **changes)
    with raises_reason(rejection) if rejection else nullcontext():
        await process_payment(repository, repository.clock, payment, "w1")
    order, refunds, recorded = repository.orders["o1"], dict(repository.refunds), dict(repository.payments)
    repository.events.clear()
    for _ in range(2):
        with raises_reason(Reason.WEBHOOK_ID_REUSED if webhook_id == "w1" else Reason.PAYMENT_ID_REUSED):
            await process_payment(repository, repository.clock, replace(payment, succeeded=False), webhook_id)
    assert (repository.orders["o1"], repository.refunds, repository.payments) == (order, refunds, recorded)
    (record,) = repository.rejected.values()
    assert (record.outcome, record.order_id) == (PaymentOutcome.DUPLICATE_ID, payment.order_id)
    assert [type(event) for event in repository.events] == [PaymentRecorded, SystemAlert]
    assert "as failed" in repository.events[-1].detail


@pytest.mark.parametrize("webhook_id", ["w1", "w2"])
@pytest.mark.parametrize(
    ("changes", "rejection"),
    [
        ({"order_id": "o2"}, Reason.PAYMENT_CONFLICT),
        ({"amount": 500}, Reason.PAYMENT_CONFLICT),
        ({"currency": "EUR"}, Reason.PAYMENT_CONFLICT),
        ({"order_id": "unknown"}, Reason.ORDER_NOT_FOUND),
    ],
    ids=str,
)
async def test_success_of_failed_payment_for_other_order_or_amount_is_refunded(
    changes: dict[str, object], rejection: Reason, webhook_id: str
) -> None:
    repository = FakeRepository(build_order(), build_order(order_id="o2"))
    await process_payment(repository, repository.clock, FAILED, "w1")
    success = replace(PAYMENT, **changes)
    for _ in range(2):
        with raises_reason(Reason.WEBHOOK_ID_REUSED if webhook_id == "w1" else rejection):
            await process_payment(repository, repository.clock, success, webhook_id)
    with raises_reason(rejection):
        await process_payment(repository, repository.clock, success, "w3")
    (record,), (refund,) = repository.payments.values(), repository.refunds.values()
    assert (record.is_for(success), record.refund_amount) == (True, success.amount)
    assert (refund.payment_id, refund.amount, refund.currency) == ("p1", success.amount, success.currency)
    assert {order.status for order in repository.orders.values()} == {OrderStatus.PENDING}
    assert [event.refund_id for event in repository.events if isinstance(event, RefundRequested)] == [refund.id]


async def test_failed_payment_has_one_success_of_which_others_are_rejected() -> None:
    repository = FakeRepository(build_order(), build_order(order_id="o2"))
    await process_payment(repository, repository.clock, FAILED, "w1")
    with raises_reason(Reason.PAYMENT_CONFLICT):
        await process_payment(repository, repository.clock, replace(PAYMENT, order_id="o2"), "w2")
    with raises_reason(Reason.PAYMENT_ID_REUSED):
        await process_payment(repository, repository.clock, PAYMENT, "w3")
    assert repository.orders["o1"].status is OrderStatus.PENDING
    assert len(repository.refunds) == len(repository.rejected) == 1


async def test_other_result_with_used_webhook_id_is_rejected_and_refunded() -> None:
    repository = FakeRepository(build_order())
    await process_payment(repository, repository.clock, FAILED, "w1")
    with raises_reason(Reason.WEBHOOK_ID_REUSED):
        await process_payment(repository, repository.clock, PAYMENT, "w1")
    (record,) = repository.payments.values()
    assert (record.outcome, record.refund_amount) == (PaymentOutcome.CONFLICT, 200)


PAYMENTS = st.builds(
    Payment,
    bank_id=st.just("visa"),
    payment_id=st.sampled_from(["p1", "p2"]),
    order_id=st.just("o1"),
    amount=st.integers(0, 400),
    currency=st.just("USD"),
    succeeded=st.booleans(),
)


@given(st.lists(st.tuples(PAYMENTS, st.sampled_from(["w1", "w2", "w3"])), max_size=8))
async def test_captured_amount_pays_order_or_is_refunded(callbacks: list[tuple[Payment, str]]) -> None:
    repository, reasons = FakeRepository(build_order()), set()
    for payment, webhook_id in callbacks:
        try:
            await process_payment(repository, repository.clock, payment, webhook_id)
        except ApiError as error:
            reasons.add(error.reason)
    assert reasons <= {
        Reason.PAYMENT_CONFLICT,
        Reason.PAYMENT_INSUFFICIENT,
        Reason.WEBHOOK_ID_REUSED,
        Reason.PAYMENT_ID_REUSED,
    }
    order = repository.orders["o1"]
    records = [record for record in repository.payments.values() if record.outcome is not PaymentOutcome.FAILED]
    captured = sum(record.amount for record in records)
    refunded = sum(refund.amount for refund in repository.refunds.values())
    assert order.paid_amount == captured
    assert captured - refunded == (200 if order.status is OrderStatus.PAID else 0)


async def test_unknown_bank_has_no_callback_secrets() -> None:
    repository = FakeRepository(banks=())
    assert await payment_callbacks.get_callback_secrets(repository, None, repository.clock, "visa") == []


async def test_callback_is_verified_before_its_payment_is_processed() -> None:
    secret_box = SecretBox(Fernet.generate_key().decode())
    repository = FakeRepository(build_order(), banks=[replace(BANK, webhook_secret=secret_box.encrypt("secret"))])
    received: list[list[str]] = []

    def reject(secrets: list[str]) -> None:
        raise ApiError(Reason.SIGNATURE_INVALID)

    with raises_reason(Reason.SIGNATURE_INVALID):
        await handle_payment_callback(repository, secret_box, repository.clock, PAYMENT, "w1", reject)
    assert repository.payments == {}
    handled = await handle_payment_callback(repository, secret_box, repository.clock, PAYMENT, "w1", received.append)
    assert (handled, received) == ("p1", [["secret"]])
    assert repository.orders["o1"].status is OrderStatus.PAID


async def test_payments_are_listed_newest_first_and_filtered() -> None:
    history = FakeHistory()
    for index in range(5):
        record = PaymentRecord(
            "visa", f"p{index}", f"o{index % 2}", 1, "USD", PaymentOutcome.PAID, 0, NOW + timedelta(seconds=index // 2)
        )
        await payment_callbacks.record_payment(history, record)
    listed, token = [], ""
    while token is not None:
        page = await payment_callbacks.list_payments(history, ADMIN, 2, token, PaymentFilter(bank_id="visa"))
        listed += [record.payment_id for record in page.items]
        token = page.next_page_token
    assert listed == ["p4", "p3", "p2", "p1", "p0"]
    page = await payment_callbacks.list_payments(history, ADMIN, 10, "", PaymentFilter(order_id="o1"))
    assert [record.payment_id for record in page.items] == ["p3", "p1"]


async def test_list_of_payments_requires_admin_role() -> None:
    with raises_reason(Reason.FORBIDDEN):
        await payment_callbacks.list_payments(FakeHistory(), ADA, 10, "", PaymentFilter())
