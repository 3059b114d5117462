"""Refunds: requests to the banks, retries until the schedule ends, and the recorded result."""

from dataclasses import replace
from datetime import timedelta

import pytest

from generated.proto.delivery.events.v1 import Refunded, RefundFailed, SystemAlert
from services.orders.domain.orders import OrderStatus, RefundStatus
from services.orders.domain.payments import Refund, RefundResponse
from services.orders.usecases import refunds
from tests.unit.fake_transactions import NOW
from tests.unit.orders.fakes import FakePaymentSystem, FakeRefunds, FakeRepository, build_order

DELAYS_S = (10.0, 100.0)
REFUND = Refund("r1", "visa", "p1", "o1", 200, "USD", RefundStatus.REQUESTED, NOW)
ORDER = replace(
    build_order(OrderStatus.CANCELLED), paid_amount=200, payment_id="p1", refund_status=RefundStatus.REQUESTED
)
SUCCESS = RefundResponse(is_refunded=True, is_final=True, message="200")
REJECTED = RefundResponse(is_refunded=False, is_final=True, message="404")
BUSY = RefundResponse(is_refunded=False, is_final=False, message="503")


def build_repository(refund: Refund = REFUND, **arguments: object) -> FakeRepository:
    repository = FakeRepository(ORDER, **arguments)
    repository.refunds[refund.id] = refund
    return repository


async def send(repository: FakeRepository, system: FakePaymentSystem) -> int:
    """Send the due refunds and return their number."""
    due = await repository.refunds.claim_due(10, NOW, NOW)
    for refund in due:
        await refunds.send_refund(repository.refunds, repository, system, repository.clock, DELAYS_S, refund)
    return len(due)


async def test_refunded_amount_is_recorded() -> None:
    repository = build_repository()
    assert await send(repository, FakePaymentSystem(SUCCESS)) == 1
    order = repository.orders["o1"]
    assert (order.refund_status, order.refunded_amount) == (RefundStatus.REFUNDED, 200)
    assert repository.transitions[-1].note == "refund r1 refunded"
    (event,) = repository.events
    assert isinstance(event, Refunded)
    assert (event.refund_id, event.customer_id) == ("r1", "ada")
    assert await send(repository, FakePaymentSystem()) == 0


async def test_rejected_refund_fails_with_one_alert() -> None:
    repository = build_repository()
    await send(repository, FakePaymentSystem(REJECTED))
    assert repository.orders["o1"].refund_status is RefundStatus.FAILED
    failed, alert = repository.events
    assert isinstance(failed, RefundFailed)
    assert isinstance(alert, SystemAlert)
    assert (failed.reason, alert.subject) == ("404", "refund:r1")


async def test_refund_of_unknown_bank_fails_without_request() -> None:
    repository, system = build_repository(banks=()), FakePaymentSystem()
    await send(repository, system)
    assert system.requests == []
    assert repository.refunds["r1"].status is RefundStatus.FAILED


async def test_temporary_error_is_retried_until_schedule_ends() -> None:
    repository, system = build_repository(), FakePaymentSystem(BUSY, BUSY, BUSY)
    for delay_s in DELAYS_S:
        await send(repository, system)
        delay = repository.refunds.rescheduled["r1"] - NOW
        assert timedelta(seconds=delay_s / 2) <= delay <= timedelta(seconds=2 * delay_s)
        assert repository.events == []
    await send(repository, system)
    assert repository.refunds["r1"].status is RefundStatus.FAILED
    assert [request.attempts for request in system.requests] == [1, 2, 3]
    assert {request.id for request in system.requests} == {"r1"}


async def test_unexpected_error_is_one_failed_attempt() -> None:
    repository = build_repository()
    for delay_s in DELAYS_S:
        (refund,) = await repository.refunds.claim_due(10, NOW, NOW)
        await refunds.record_refund_error(repository.refunds, repository, repository.clock, DELAYS_S, refund)
        delay = repository.refunds.rescheduled["r1"] - NOW
        assert timedelta(seconds=delay_s / 2) <= delay <= timedelta(seconds=2 * delay_s)
    (refund,) = await repository.refunds.claim_due(10, NOW, NOW)
    await refunds.record_refund_error(repository.refunds, repository, repository.clock, DELAYS_S, refund)
    assert repository.refunds["r1"].status is RefundStatus.FAILED
    failed, alert = repository.events
    assert (failed.reason, alert.subject) == ("internal error", "refund:r1")


async def test_refund_fails_without_request_after_last_attempt() -> None:
    attempted = replace(REFUND, attempts=len(DELAYS_S) + 1)
    repository, system = build_repository(attempted), FakePaymentSystem()
    await send(repository, system)
    assert system.requests == []
    assert repository.refunds["r1"].status is RefundStatus.FAILED
    assert repository.events[0].reason == "attempts exhausted"


@pytest.mark.parametrize("response", [SUCCESS, REJECTED])
async def test_result_of_completed_refund_is_ignored(response: RefundResponse) -> None:
    class RacingRefunds(FakeRefunds):
        async def complete(self, refund: Refund, response: str) -> bool:
            return False

    repository = FakeRepository(ORDER)
    repository.refunds = RacingRefunds({"r1": REFUND})
    await send(repository, FakePaymentSystem(response))
    assert (repository.orders["o1"], repository.events) == (ORDER, [])


async def test_refund_of_other_banks_payment_does_not_change_order() -> None:
    repository = build_repository(replace(REFUND, bank_id="km"))
    repository.banks["km"] = replace(repository.banks["visa"], id="km")
    await send(repository, FakePaymentSystem(SUCCESS))
    assert repository.orders["o1"] == ORDER
    (event,) = repository.events
    assert event.customer_id is None


async def test_order_is_locked_before_refund() -> None:
    repository = FakeRepository(ORDER)

    class OrderFirstRefunds(FakeRefunds):
        async def complete(self, refund: Refund, response: str) -> bool:
            assert repository.locked_orders == ["o1"]
            return await super().complete(refund, response)

    repository.refunds = OrderFirstRefunds({"r1": REFUND})
    await send(repository, FakePaymentSystem(SUCCESS))
    assert repository.refunds["r1"].status is RefundStatus.REFUNDED
