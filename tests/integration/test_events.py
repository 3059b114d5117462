"""Events on real servers: publishing after commit, idempotent consumers and poison messages."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from generated.events import ORDER_CREATED
from generated.events.consumers import OrdersHistoryConsumer
from generated.problems import Reason
from generated.proto.delivery.events.v1 import (
    OrderAssigned,
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderPaid,
    OrderReady,
    OrderSnapshot,
)
from services.orders import usecases
from services.orders.domain.orders import OrderStatus
from services.orders.entrypoints.consumers import HistoryConsumer, PaymentsConsumer, ReadinessConsumer
from services.orders.usecases.event_factory import build_order_snapshot
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal
from services.runtime.messaging import outbox
from services.runtime.messaging.channel import Channel
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.events import Envelope, MessageMetadata
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.orders import ADA, Orders
from tests.wait import wait_until_async


async def test_order_transitions_are_recorded_in_history(orders: Orders) -> None:
    consumers = [
        HistoryConsumer(orders.history),
        PaymentsConsumer(orders.history),
        ReadinessConsumer(orders.repository, now),
    ]
    async with run_in_background(
        orders.create_relay().run(), *(consume(orders.broker, consumer) for consumer in consumers)
    ):
        order_id = await orders.place_order()
        await orders.pay(order_id)
        bob = Principal("bob", "deliverer", "", True, now())
        await usecases.mark_order_ready(
            orders.repository, now, "orders.readiness", generate_id(), order_id, 1, "1 Market Square"
        )
        await usecases.assign_order(orders.repository, now, bob, order_id)
        await usecases.complete_order(orders.repository, now, bob, order_id)

        async def is_history_complete() -> bool:
            page = await usecases.get_history(orders.repository, orders.history, ADA, order_id, 20, "")
            return [entry.status for entry in page.items] == ["pending", "paid", "ready", "delivering", "delivered"]

        await wait_until_async(is_history_complete)


async def test_concurrent_relays_publish_each_event_once(orders: Orders) -> None:
    order_ids = [await orders.place_order() for _ in range(30)]
    received: list[str] = []

    class RecordingConsumer(HistoryConsumer):
        async def on_order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
            if event.order is not None:
                received.append(event.order.order_id)

    async with run_in_background(
        *(orders.create_relay().run() for _ in range(3)), consume(orders.broker, RecordingConsumer(orders.history))
    ):

        async def are_all_received() -> bool:
            return await orders.count_pending_events() == 0 and set(order_ids) <= set(received)

        await wait_until_async(are_all_received)
    assert len([order_id for order_id in received if order_id in order_ids]) == len(order_ids)


async def test_crash_between_publish_and_delete_republishes_same_event_id(orders: Orders) -> None:
    async with run_in_background(orders.create_relay().run()):
        await wait_until_async(lambda: _equals(orders.count_pending_events(), 0))
    await orders.place_order()
    received: list[str] = []

    class CrashingChannel(Channel):
        async def _await_confirms(self, *arguments: Any) -> None:
            await super()._await_confirms(*arguments)
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "simulated crash after the confirm")

    class RecordingConsumer(HistoryConsumer):
        async def on_order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
            received.append(delivery.event_id)

    consumer = RecordingConsumer(orders.history)
    async with orders.broker.open_channel() as channel, run_in_background(consume(orders.broker, consumer)):
        channel.__class__ = CrashingChannel
        with pytest.raises(ApiError):
            await orders.create_relay()._publish_pending(channel)
        channel.__class__ = Channel
        assert await orders.count_pending_events() == 1
        await orders.create_relay()._publish_pending(channel)
        await wait_until_async(lambda: len(received) == 2)
    assert len(set(received)) == 1


class RecordingChannel(Channel):
    """Records published batches. The second batch completes, or fails, only after a third has been published."""

    batches: list[list[str]]
    second_fails: bool

    @classmethod
    def replace(cls, channel: Channel, *, second_fails: bool = False) -> "RecordingChannel":
        """Change the class of a channel to this one."""
        channel.__class__ = cls
        recording_channel = cast(RecordingChannel, channel)
        recording_channel.batches, recording_channel.second_fails = [], second_fails
        return recording_channel

    @property
    def published(self) -> list[str]:
        """Event ids in the order of publication."""
        return [event_id for batch in self.batches for event_id in batch]

    def publish(self, envelopes: Any) -> Any:
        batch = [*envelopes]
        self.batches.append([envelope.id for envelope in batch])
        return self._await_confirmed(super().publish(batch), len(self.batches))

    async def _await_confirmed(self, confirmed: Any, number: int) -> Any:
        returned_ids = await confirmed
        if number == 2:
            await wait_until_async(self._is_third_published)
            if self.second_fails:
                raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "simulated loss of the database")
        return returned_ids

    async def _is_third_published(self) -> bool:
        return len(self.batches) > 2


@pytest.fixture
async def backlog(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Event ids of thirty pending events, oldest first; the batch size is five."""
    async with run_in_background(orders.create_relay().run()):
        await wait_until_async(lambda: _equals(orders.count_pending_events(), 0))
    for _ in range(30):
        await orders.place_order()
    monkeypatch.setattr(outbox, "BATCH_SIZE", 5)
    return [row["event_id"] for row in await orders.execute_sql("SELECT event_id FROM outbox ORDER BY id")]


async def test_backlog_is_published_in_order_by_pipelined_batches(orders: Orders, backlog: list[str]) -> None:
    async with orders.broker.open_channel() as channel:
        recording_channel = RecordingChannel.replace(channel)
        await orders.create_relay()._publish_pending(recording_channel)
        assert recording_channel.published == backlog
    assert await orders.count_pending_events() == 0


async def test_failed_batch_does_not_affect_other_batches(orders: Orders, backlog: list[str]) -> None:
    async with orders.broker.open_channel() as channel:
        failing_channel = RecordingChannel.replace(channel, second_fails=True)
        with pytest.raises(ApiError):
            await orders.create_relay()._publish_pending(failing_channel)
        pending = [row["event_id"] for row in await orders.execute_sql("SELECT event_id FROM outbox ORDER BY id")]
        assert not {*backlog[:5], *backlog[10:15]} & {*pending}, "confirmed events would be published again"
        assert {*failing_channel.published, *pending} == {*backlog}

        second_channel = RecordingChannel.replace(channel)
        await orders.create_relay()._publish_pending(second_channel)
        assert second_channel.published == pending
    assert await orders.count_pending_events() == 0


async def _equals(value: Any, expected: Any) -> bool:
    return bool(await value == expected)


async def test_repeated_event_has_one_effect(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    event_id = generate_id()
    for _ in range(3):
        await usecases.mark_order_ready(
            orders.repository, now, "orders.readiness", event_id, order_id, 1, "1 Market Square"
        )
    order = await orders.repository.orders.get(order_id)
    assert order is not None
    assert (order.status, order.version) == (OrderStatus.READY, 3)


class SelectivelyFailingConsumer(OrdersHistoryConsumer):
    """Fails on every event of one order."""

    def __init__(self, failing_order_id: str) -> None:
        self.failing_order_id = failing_order_id
        self.handled: list[str] = []
        self.attempts = 0

    async def on_order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
        if event.order is not None and event.order.order_id == self.failing_order_id:
            self.attempts += 1
            raise ValueError("poison")
        self.handled.append(event.order.order_id if event.order else "")

    async def on_order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None: ...

    async def on_order_ready(self, event: OrderReady, delivery: MessageMetadata) -> None: ...

    async def on_order_assigned(self, event: OrderAssigned, delivery: MessageMetadata) -> None: ...

    async def on_order_delivered(self, event: OrderDelivered, delivery: MessageMetadata) -> None: ...

    async def on_order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None: ...

    async def on_order_expired(self, event: OrderExpired, delivery: MessageMetadata) -> None: ...


def build_envelope(order_id: str, payload: bytes | None = None) -> Envelope:
    event = OrderCreated(order=OrderSnapshot(order_id=order_id, version=1))
    body = ORDER_CREATED.encode(event) if payload is None else payload
    return Envelope(generate_id(), "/orders", ORDER_CREATED.type, order_id, now(), {}, body)


async def test_poison_message_is_dead_lettered_without_blocking_others(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.runtime.messaging.consumer.RETRY_DELAYS_S", (1,))
    consumer = SelectivelyFailingConsumer("poison")
    async with orders.broker.open_channel() as channel, run_in_background(consume(orders.broker, consumer)):
        count_before = await channel.count_messages("orders.history.dead")
        await channel.publish(
            [build_envelope("poison"), build_envelope("malformed", b"\xff\xff\xff"), build_envelope("good")]
        )
        await wait_until_async(lambda: "good" in consumer.handled, 3)

        async def are_both_dead_lettered() -> bool:
            return await channel.count_messages("orders.history.dead") == count_before + 2

        await wait_until_async(are_both_dead_lettered)
    assert consumer.attempts == 2


async def test_concurrent_assignment_has_one_winner(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await usecases.mark_order_ready(
        orders.repository, now, "orders.readiness", generate_id(), order_id, 1, "1 Market Square"
    )

    reasons: set[Reason] = set()

    async def assign(user_id: str) -> str | None:
        deliverer = Principal(user_id, "deliverer", "", True, now())
        try:
            return (await usecases.assign_order(orders.repository, now, deliverer, order_id)).deliverer_id
        except ApiError as error:
            reasons.add(error.reason)
            return None

    results = await asyncio.gather(*(assign(f"d{number}") for number in range(8)))
    winners = [user_id for user_id in results if user_id]
    assert len(winners) == 1
    assert reasons == {Reason.ORDER_STATE_CONFLICT}
    assert await assign(winners[0]) == winners[0]


async def test_change_of_outdated_order_is_rejected_without_event(orders: Orders) -> None:
    order_id = await orders.place_order()
    outdated = await orders.get_order(order_id)
    await orders.pay(order_id)
    pending_events = await orders.count_pending_events()
    cancelled = replace(outdated, status=OrderStatus.CANCELLED, version=outdated.version + 1)
    with pytest.raises(ApiError) as raised:  # noqa: PT012
        async with orders.repository.unit_of_work() as unit:
            await unit.orders.update(outdated, cancelled, "system")
            await unit.publish(OrderCancelled(order=build_order_snapshot(cancelled, "system")))
    assert raised.value.reason is Reason.ORDER_STATE_CONFLICT
    assert (await orders.get_order(order_id)).status is OrderStatus.PAID
    assert [each.version for each in await orders.repository.orders.list_transitions(order_id, 0)] == [1, 2]
    assert await orders.count_pending_events() == pending_events


async def test_concurrent_confirmations_create_one_order(orders: Orders) -> None:
    check_id = generate_id()
    order_ids = await asyncio.gather(*(orders.place_order(check_id) for _ in range(6)))
    assert len(set(order_ids)) == 1


async def test_concurrent_duplicate_callbacks_record_one_payment(orders: Orders) -> None:
    order_id = await orders.place_order()
    callback = {"webhook_id": generate_id(), "payment_id": generate_id()}
    payment_ids = await asyncio.gather(*(orders.pay(order_id, **callback) for _ in range(5)))
    order = await orders.repository.orders.get(order_id)
    assert order is not None
    assert len(set(payment_ids)) == 1
    assert (order.paid_amount, order.payment_id) == (200, payment_ids[0])
