"""Outbox under faults on real servers: every event is delivered, with one id, when a relay or the broker is killed."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pika.spec import BasicProperties

from deploy.local.supervisor.supervisor_state import read_supervisor_state
from generated.events import EVENTS
from generated.proto.delivery.events.v1 import OrderCreated, OrderSnapshot
from services.orders.domain.orders import TRANSITIONS, OrderStatus
from services.orders.entrypoints.consumers import HistoryConsumer
from services.runtime.core.clock import now
from services.runtime.core.ids import generate_id
from services.runtime.messaging import outbox
from services.runtime.messaging.channel import Message, MessageUnroutable
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.events import Envelope, MessageMetadata
from services.runtime.messaging.topology import RETRY_DELAYS_S, get_retry_exchange
from tests.conftest import ROOT
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.orders import Orders
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async


class DeliveryCounter(HistoryConsumer):
    """Counts deliveries by event and order."""

    def __init__(self, orders: Orders) -> None:
        super().__init__(orders.history)
        self.counts: Counter[tuple[str, str]] = Counter()

    async def on_order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
        self.counts[delivery.event_id, delivery.subject] += 1

    def event_ids_by_order(self, order_ids: list[str]) -> dict[str, set[str]]:
        return {order_id: {event for event, subject in self.counts if subject == order_id} for order_id in order_ids}


@asynccontextmanager
async def relay_process(kill_point: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "tests.integration.fixtures.relay_process", kill_point]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def wait_until_outbox_is_empty(orders: Orders) -> None:
    async def is_empty() -> bool:
        return await orders.count_pending_events() == 0

    await wait_until_async(is_empty, 40)


async def wait_until_delivered(counter: DeliveryCounter, order_ids: list[str]) -> None:
    async def are_delivered() -> bool:
        return all(counter.event_ids_by_order(order_ids).values())

    await wait_until_async(are_delivered, 40)


async def test_relay_publishes_event_of_its_own_process_without_polling(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "POLL_INTERVAL_S", 3600)
    async with run_in_background(orders.create_relay().run()):
        await wait_until_outbox_is_empty(orders)
        await orders.place_order()
        await wait_until_outbox_is_empty(orders)


async def test_relay_finds_event_of_another_process_by_polling(
    orders: Orders, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "POLL_INTERVAL_S", 0.1)
    other_process = Orders(servers.settings("orders"), servers.admin_broker_url)
    async with run_in_background(orders.create_relay().run()), other_process.database, other_process.client:
        await other_process.place_order()
        await wait_until_outbox_is_empty(orders)


@pytest.mark.parametrize("kill_point", ["claim", "publish"])
async def test_killed_relay_loses_no_event_and_preserves_event_ids(orders: Orders, kill_point: str) -> None:
    async with run_in_background(orders.create_relay().run()):
        await wait_until_outbox_is_empty(orders)
    order_ids = [await orders.place_order() for _ in range(20)]
    # Each order has one event. A relay that is killed after publishing causes one more delivery of it.
    async with relay_process(kill_point) as killed:
        async with asyncio.timeout(20):
            assert await killed.wait() == -signal.SIGKILL

    async def are_rows_released() -> bool:
        return await orders.count_pending_events() == len(order_ids)

    await wait_until_async(are_rows_released)
    counter = DeliveryCounter(orders)
    async with run_in_background(consume(orders.broker, counter)), relay_process("never"):
        await wait_until_outbox_is_empty(orders)
        publications = 1 if kill_point == "claim" else 2

        async def are_all_publications_delivered() -> bool:
            counts = [
                counter.counts[event_id, order_id]
                for order_id in order_ids
                for event_id in counter.event_ids_by_order([order_id])[order_id]
            ]
            return counts == [publications] * 20

        await wait_until_async(are_all_publications_delivered)


async def test_relays_share_outbox_when_some_are_killed(orders: Orders) -> None:
    counter = DeliveryCounter(orders)
    order_ids: list[str] = []
    async with (
        run_in_background(consume(orders.broker, counter)),
        relay_process("never"),
        relay_process("never") as second,
    ):
        for number in range(60):
            order_ids.append(await orders.place_order())
            if number == 30:
                second.kill()
        async with relay_process("never"):
            await wait_until_outbox_is_empty(orders)
        await wait_until_delivered(counter, order_ids)
    assert all(len(event_ids) == 1 for event_ids in counter.event_ids_by_order(order_ids).values())


async def test_backlog_is_published_after_broker_restart(orders: Orders, servers: Servers) -> None:
    counter = DeliveryCounter(orders)
    async with run_in_background(orders.create_relay().run(), consume(orders.broker, counter)):
        first = [await orders.place_order() for _ in range(5)]
        await wait_until_delivered(counter, first)
        supervisor_state = read_supervisor_state(servers.config)
        assert supervisor_state is not None
        broker = next(child for child in supervisor_state.children if child.name == "rabbitmq")
        os.kill(broker.pid, signal.SIGKILL)
        order_ids = [await orders.place_order() for _ in range(50)]
        assert await orders.count_pending_events() >= 40
        await wait_until_outbox_is_empty(orders)
        await wait_until_delivered(counter, order_ids)
    assert all(len(event_ids) == 1 for event_ids in counter.event_ids_by_order(order_ids).values())


async def test_event_of_deleted_queue_stays_pending_until_redelivery(orders: Orders) -> None:
    counter = DeliveryCounter(orders)
    async with run_in_background(orders.create_relay().run()):
        await wait_until_outbox_is_empty(orders)
    async with orders.broker.open_channel() as channel:
        await channel.delete_queue("orders.history")
        order_id = await orders.place_order()
        relay = orders.create_relay()
        with pytest.raises(MessageUnroutable):
            await relay._publish_pending(channel)
        assert await orders.count_pending_events() == 1
        async with run_in_background(orders.broker.run_with_reconnect(relay._publish_loop)):
            await wait_until_outbox_is_empty(orders)
    async with run_in_background(consume(orders.broker, counter)):
        await wait_until_delivered(counter, [order_id])


async def test_retry_without_retry_queue_is_not_confirmed(orders: Orders) -> None:
    message = build_message("o1", "e1", 1, OrderStatus.PENDING)
    retry_queue = get_retry_exchange("orders.history", RETRY_DELAYS_S[0])
    async with orders.broker.open_channel() as channel:
        await channel.delete_queue(retry_queue)
        with pytest.raises(MessageUnroutable):
            await channel.republish(retry_queue, "orders.history", message, {})


EVENT_TYPES = {
    OrderStatus.PENDING: "orders.created",
    OrderStatus.PAID: "orders.paid",
    OrderStatus.READY: "orders.ready",
    OrderStatus.DELIVERING: "orders.assigned",
    OrderStatus.DELIVERED: "orders.delivered",
    OrderStatus.CANCELLED: "orders.cancelled",
    OrderStatus.EXPIRED: "orders.expired",
}


@st.composite
def order_histories(draw: st.DrawFn) -> list[tuple[int, OrderStatus]]:
    """A prefix of a valid sequence of order transitions; a skipped version did not change the status."""
    version, status = 1, OrderStatus.PENDING
    history = [(version, status)]
    while TRANSITIONS[status] and draw(st.booleans()):
        status = draw(st.sampled_from(sorted(TRANSITIONS[status])))
        version += draw(st.integers(1, 3))
        history.append((version, status))
    return history


def build_message(order_id: str, event_id: str, version: int, status: OrderStatus) -> Message:
    """A message with the event of one transition."""
    event_type = next(event_type for event_type in EVENTS.values() if event_type.type == EVENT_TYPES[status])
    order = OrderSnapshot(order_id=order_id, version=version, actor="test", at=now())
    event: Any = event_type.message(order=order)
    envelope = Envelope(event_id, "/orders", event_type.type, order_id, now(), {}, event_type.encode(event))
    return Message(1, BasicProperties(headers=envelope.to_headers()), envelope.payload)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=order_histories(), data=st.data())
async def test_history_is_order_independent_and_idempotent(
    orders: Orders, history: list[tuple[int, OrderStatus]], data: st.DataObject
) -> None:
    order_id = generate_id()
    messages = [build_message(order_id, generate_id(), version, status) for version, status in history]
    repeated = data.draw(st.lists(st.sampled_from(range(len(history))), max_size=6))
    delivered = data.draw(st.permutations([*range(len(history)), *repeated]))
    consumer = HistoryConsumer(orders.history)
    for index in delivered:
        await consumer.dispatch(messages[index], 1)
    entries = await orders.history.list_history(order_id, 100, 0)
    assert [(entry.version, entry.status) for entry in entries] == history
