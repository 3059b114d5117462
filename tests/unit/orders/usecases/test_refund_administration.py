"""Refunds for admins: list, retry, settlement, and the record of actions."""

from dataclasses import replace
from datetime import timedelta

import pytest

from generated.problems import Reason
from generated.proto.delivery.events.v1 import Refunded, SystemAlert
from services.orders.domain.orders import RefundStatus
from services.orders.domain.payments import Refund, RefundResponse
from services.orders.domain.refund_actions import RefundAction, RefundActionKind, RefundFilter
from services.orders.usecases.refund_administration import list_refunds, retry_refund, settle_refund
from services.orders.usecases.refunds import send_refund
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.orders.fakes import ADA, ADMIN, FakePaymentSystem, FakeRepository, build_order

FAILED = Refund("r1", "visa", "p1", "o1", 50, "USD", RefundStatus.FAILED, NOW, attempts=9)


def build_repository(refund: Refund = FAILED) -> FakeRepository:
    order = replace(build_order(), paid_amount=50, refund_status=refund.status)
    repository = FakeRepository(order)
    repository.refunds.data[refund.id] = refund
    return repository


async def fail(repository: FakeRepository) -> None:
    system = FakePaymentSystem(RefundResponse(is_refunded=False, is_final=True, message="422"))
    (refund,) = await repository.refunds.claim_due(1, NOW, NOW)
    await send_refund(repository.refunds, repository, system, repository.clock, (1,), refund)


async def test_failed_refund_is_requested_again_and_alerts_again() -> None:
    repository = build_repository(replace(FAILED, status=RefundStatus.REQUESTED))
    await fail(repository)
    report = await retry_refund(repository, repository.clock, ADMIN, "r1")
    assert (report.refund.status, report.refund.attempts, report.refund.next_at) == ("requested", 0, repository.now)
    assert list(report.actions) == [RefundAction("r1", RefundActionKind.RETRIED, "root", repository.now)]
    assert repository.orders["o1"].refund_status is RefundStatus.REQUESTED
    assert (repository.transitions[-1].actor, repository.transitions[-1].note) == ("admin:root", "refund r1 requested")
    await fail(repository)
    alerts = [event for event in repository.events if isinstance(event, SystemAlert)]
    assert [alert.subject for alert in alerts] == ["refund:r1", "refund:r1"]
    assert all("order o1" in alert.detail for alert in alerts)


async def test_requested_refund_is_sent_before_its_time() -> None:
    later = NOW + timedelta(hours=9)
    repository = build_repository(replace(FAILED, status=RefundStatus.REQUESTED, attempts=3, next_at=later))
    report = await retry_refund(repository, repository.clock, ADMIN, "r1")
    assert (report.refund.status, report.refund.attempts, report.refund.next_at) == ("requested", 3, repository.now)


async def test_failed_refund_is_settled_with_note_and_event() -> None:
    repository = build_repository()
    report = await settle_refund(repository, repository.clock, ADMIN, "r1", "transfer 4711")
    assert report.refund.status is RefundStatus.REFUNDED
    assert list(report.actions) == [
        RefundAction("r1", RefundActionKind.SETTLED, "root", repository.now, "transfer 4711")
    ]
    order = repository.orders["o1"]
    assert (order.refund_status, order.refunded_amount) == (RefundStatus.REFUNDED, 50)
    assert repository.transitions[-1].note == "refund r1 refunded"
    assert [type(event) for event in repository.events] == [Refunded]


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ("retry", RefundStatus.REFUNDED),
        ("settle", RefundStatus.REFUNDED),
        ("settle", RefundStatus.REQUESTED),
    ],
)
async def test_operation_in_wrong_status_changes_nothing(operation: str, status: RefundStatus) -> None:
    refund = replace(FAILED, status=status)
    repository = build_repository(refund)
    with raises_reason(Reason.REFUND_CONFLICT):
        if operation == "retry":
            await retry_refund(repository, repository.clock, ADMIN, "r1")
        else:
            await settle_refund(repository, repository.clock, ADMIN, "r1", "note")
    assert (repository.refunds.data, repository.refunds.actions) == ({"r1": refund}, [])


async def test_unknown_refund_is_not_found() -> None:
    repository = build_repository()
    with raises_reason(Reason.REFUND_NOT_FOUND):
        await retry_refund(repository, repository.clock, ADMIN, "r2")


async def test_refunds_require_admin() -> None:
    repository = build_repository()
    for work in (
        list_refunds(repository, ADA, 10, "", RefundFilter()),
        retry_refund(repository, repository.clock, ADA, "r1"),
        settle_refund(repository, repository.clock, ADA, "r1", "note"),
    ):
        with raises_reason(Reason.FORBIDDEN):
            await work


async def test_refunds_are_listed_newest_first_and_filtered() -> None:
    repository = build_repository()
    for number in range(2, 6):
        refund = replace(FAILED, id=f"r{number}", created_at=NOW + timedelta(seconds=number // 2))
        repository.refunds.data[refund.id] = replace(refund, status=list(RefundStatus)[number % 2 + 1])
    await settle_refund(repository, repository.clock, ADMIN, "r1", "note")
    listed, token = [], ""
    while token is not None:
        page = await list_refunds(repository, ADMIN, 2, token, RefundFilter())
        listed += page.items
        token = page.next_page_token
    assert [report.refund.id for report in listed] == ["r5", "r4", "r3", "r2", "r1"]
    assert [len(report.actions) for report in listed] == [0, 0, 0, 0, 1]
    page = await list_refunds(repository, ADMIN, 10, "", RefundFilter("o1", "visa", RefundStatus.REQUESTED))
    assert [report.refund.id for report in page.items] == ["r4", "r2"]
