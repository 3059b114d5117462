"""Event consumers of orders: history entries, payments, partner events and deleted users."""

import asyncio
from datetime import timedelta

import pytest

from generated.proto.delivery.events import v1
from services.orders import usecases
from services.orders.domain.orders import HistoryEntry, OrderStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord
from services.orders.entrypoints.consumers import (
    MAX_CONCURRENT_CANCELLATIONS,
    HistoryConsumer,
    PartnersConsumer,
    PaymentsConsumer,
    ReadinessConsumer,
    UsersConsumer,
)
from services.orders.usecases.event_factory import build_payment_recorded
from services.runtime.messaging.events import MalformedEvent, MessageMetadata
from tests.unit.fake_transactions import NOW
from tests.unit.orders.fakes import FakeHistory, FakeRepository, build_order
from tests.wait import wait_until_async

SNAPSHOT = v1.OrderSnapshot(order_id="o1", version=3, actor="bank:visa", at=NOW)
RECORD = PaymentRecord("visa", "p1", "o1", 250, "USD", PaymentOutcome.OVERPAID, 50, NOW)


def build_delivery(event_id: str = "e1") -> MessageMetadata:
    return MessageMetadata("q", event_id, "type", "subject", NOW, 1)


@pytest.mark.parametrize(
    ("method", "event", "status", "note"),
    [
        ("on_order_created", v1.OrderCreated(order=SNAPSHOT), OrderStatus.PENDING, None),
        ("on_order_paid", v1.OrderPaid(order=SNAPSHOT, payment_id="p1"), OrderStatus.PAID, "payment p1"),
        ("on_order_ready", v1.OrderReady(order=SNAPSHOT), OrderStatus.READY, None),
        ("on_order_assigned", v1.OrderAssigned(order=SNAPSHOT), OrderStatus.DELIVERING, None),
        ("on_order_delivered", v1.OrderDelivered(order=SNAPSHOT), OrderStatus.DELIVERED, None),
        ("on_order_cancelled", v1.OrderCancelled(order=SNAPSHOT, reason="why not"), OrderStatus.CANCELLED, "why not"),
        ("on_order_expired", v1.OrderExpired(order=SNAPSHOT), OrderStatus.EXPIRED, None),
    ],
)
async def test_order_event_becomes_history_entry(
    method: str, event: object, status: OrderStatus, note: str | None
) -> None:
    history = FakeHistory()
    for _ in range(2):
        await getattr(HistoryConsumer(history), method)(event, build_delivery())
    assert list(history.entries.values()) == [HistoryEntry("o1", 3, status, NOW, "bank:visa", note)]


@pytest.mark.parametrize("snapshot", [None, v1.OrderSnapshot(order_id="o1", version=3)])
async def test_order_event_without_order_or_time_is_malformed(snapshot: v1.OrderSnapshot | None) -> None:
    with pytest.raises(MalformedEvent):
        await HistoryConsumer(FakeHistory()).on_order_paid(v1.OrderPaid(order=snapshot), build_delivery())


@pytest.mark.parametrize("outcome", PaymentOutcome)
async def test_recorded_payment_becomes_document(outcome: PaymentOutcome) -> None:
    history = FakeHistory()
    record = RECORD.__replace__(outcome=outcome)
    await PaymentsConsumer(history).on_payment_recorded(build_payment_recorded(record), build_delivery())
    assert list(history.payments.values()) == [record]


async def test_payment_without_time_is_malformed() -> None:
    with pytest.raises(MalformedEvent):
        await PaymentsConsumer(FakeHistory()).on_payment_recorded(v1.PaymentRecorded(payment_id="p1"), build_delivery())


async def test_ready_report_is_deduplicated_by_queue_and_event() -> None:
    repository = FakeRepository(build_order(OrderStatus.PAID))
    consumer = ReadinessConsumer(repository, repository.clock)
    event = v1.OrderReadyReported(order_id="o1", partner_id=1, pickup_address="1 Market Square")
    for _ in range(2):
        await consumer.on_order_ready_reported(event, build_delivery())
    assert repository.orders["o1"].pickup_address == "1 Market Square"
    assert repository.processed_events == {(ReadinessConsumer.QUEUE, "e1")}


async def test_earliest_partner_notification_is_stored() -> None:
    repository = FakeRepository(build_order(OrderStatus.PAID))
    consumer = PartnersConsumer(repository, repository.clock)
    for delay in (1, 0, 2):
        event = v1.PartnerNotified(order_id="o1", partner_id=1, at=NOW + timedelta(seconds=delay))
        await consumer.on_partner_notified(event, build_delivery())
    assert repository.notified == {"o1": NOW}


async def test_partner_notification_without_time_is_malformed() -> None:
    repository = FakeRepository()
    with pytest.raises(MalformedEvent):
        await PartnersConsumer(repository, repository.clock).on_partner_notified(
            v1.PartnerNotified(order_id="o1", partner_id=1), build_delivery()
        )


async def test_order_of_unreachable_partner_is_cancelled() -> None:
    repository = FakeRepository(build_order(OrderStatus.PAID))
    consumer = PartnersConsumer(repository, repository.clock)
    await consumer.on_partner_unreachable(
        v1.PartnerUnreachable(order_id="o1", partner_id=1, reason="410"), build_delivery()
    )
    assert repository.orders["o1"].status is OrderStatus.CANCELLED
    assert repository.processed_events == {(PartnersConsumer.QUEUE, "e1")}


async def test_concurrent_cancellations_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    running = max_running = finished = 0
    released = asyncio.Event()

    async def cancel(*_: object) -> None:
        nonlocal running, max_running, finished
        running += 1
        max_running = max(max_running, running)
        await released.wait()
        running -= 1
        finished += 1

    monkeypatch.setattr(usecases, "cancel_order_for_unreachable_partner", cancel)
    repository = FakeRepository()
    consumer = PartnersConsumer(repository, repository.clock)
    event = v1.PartnerUnreachable(order_id="o1", partner_id=1, reason="410")
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for _ in range(PartnersConsumer.PREFETCH):
            tasks.create_task(consumer.on_partner_unreachable(event, build_delivery()))
        await wait_until_async(lambda: running >= MAX_CONCURRENT_CANCELLATIONS, 5, 0)
        released.set()
    assert (max_running, finished) == (MAX_CONCURRENT_CANCELLATIONS, PartnersConsumer.PREFETCH)


async def test_orders_of_deleted_user_are_anonymised() -> None:
    repository = FakeRepository()
    await UsersConsumer(repository).on_user_deleted(v1.UserDeleted(user_id="ada"), build_delivery())
    assert repository.anonymised_ids == {"ada"}
