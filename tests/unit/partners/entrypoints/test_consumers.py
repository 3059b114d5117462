"""Event consumer of partners: planned calls and the wake-up of the worker."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from generated.proto.delivery.events.v1 import OrderCancelled, OrderLine, OrderPaid, OrderSnapshot
from services.partners.domain.call_policy import CallKind, CallState
from services.partners.entrypoints.consumers import MAX_REASON_LENGTH, OrderEventsConsumer
from services.runtime.messaging.events import MalformedEvent, MessageMetadata
from tests.unit.fake_transactions import NOW
from tests.unit.partners.fakes import BOWL, CALL, FakeRepository

SNAPSHOT = OrderSnapshot(order_id="o1", version=2, partner_id=1)
PAID = OrderPaid(order=SNAPSHOT, items=[OrderLine(product_id=7, title="Lemonade", quantity=2)])


def build_consumer(
    repository: FakeRepository, wakeup: asyncio.Event, initial_delay_s: float = 0.0
) -> OrderEventsConsumer:
    return OrderEventsConsumer(repository, repository.clock, "https://api.test", initial_delay_s, wakeup)


def build_delivery(event_id: str = "e1") -> MessageMetadata:
    return MessageMetadata("q", event_id, "type", "subject", NOW, 1)


async def test_paid_order_is_called_with_event_id_as_webhook_id() -> None:
    repository, wakeup = FakeRepository(BOWL), asyncio.Event()
    await build_consumer(repository, wakeup).on_order_paid(PAID, build_delivery())
    call = repository.calls["e1"]
    assert (call.kind, call.state, call.attempts) == (CallKind.ORDER, CallState.WAITING, 0)
    assert call.next_at == NOW
    assert call.payload == {
        "order_id": "o1",
        "items": [{"product_id": 7, "title": "Lemonade", "quantity": 2}],
        "callback_url": "https://api.test/api/v1/callbacks/partners/1/ready",
    }
    assert wakeup.is_set()


async def test_delayed_call_wakes_worker_when_it_is_due() -> None:
    repository, wakeup = FakeRepository(BOWL), asyncio.Event()
    await build_consumer(repository, wakeup, 0.02).on_order_paid(PAID, build_delivery())
    assert repository.calls["e1"].next_at == NOW + timedelta(milliseconds=20)
    assert not wakeup.is_set()
    await asyncio.wait_for(wakeup.wait(), timeout=5)


async def test_note_of_customer_is_part_of_the_call() -> None:
    repository, wakeup = FakeRepository(BOWL), asyncio.Event()
    await build_consumer(repository, wakeup).on_order_paid(replace(PAID, note="No onions"), build_delivery())
    assert repository.calls["e1"].payload["note"] == "No onions"


async def test_repeated_event_does_not_wake_worker() -> None:
    repository, wakeup = FakeRepository(BOWL), asyncio.Event()
    consumer = build_consumer(repository, wakeup)
    await consumer.on_order_paid(PAID, build_delivery())
    wakeup.clear()
    await consumer.on_order_paid(PAID, build_delivery())
    assert not wakeup.is_set()
    assert repository.processed_events == {(OrderEventsConsumer.QUEUE, "e1")}


@pytest.mark.parametrize(
    ("reason", "payload"),
    [
        (None, {"order_id": "o1"}),
        ("", {"order_id": "o1"}),
        ("x" * (MAX_REASON_LENGTH + 1), {"order_id": "o1", "reason": "x" * MAX_REASON_LENGTH}),
    ],
)
async def test_cancellation_reason_is_truncated(reason: str | None, payload: dict[str, str]) -> None:
    repository, wakeup = FakeRepository(BOWL, calls=[CALL]), asyncio.Event()
    event = OrderCancelled(order=SNAPSHOT, reason=reason)
    await build_consumer(repository, wakeup).on_order_cancelled(event, build_delivery("e2"))
    assert repository.calls["e2"].payload == payload
    assert wakeup.is_set()


async def test_cancellation_before_first_attempt_does_not_wake_worker() -> None:
    repository, wakeup = FakeRepository(BOWL), asyncio.Event()
    await build_consumer(repository, wakeup).on_order_cancelled(OrderCancelled(order=SNAPSHOT), build_delivery())
    assert (repository.calls, wakeup.is_set()) == ({}, False)


async def test_event_without_order_is_malformed() -> None:
    consumer = build_consumer(FakeRepository(), asyncio.Event())
    with pytest.raises(MalformedEvent):
        await consumer.on_order_paid(OrderPaid(), build_delivery())
    with pytest.raises(MalformedEvent):
        await consumer.on_order_cancelled(OrderCancelled(), build_delivery())
