"""Queues deleted at a real broker: they are declared again, and no event that was published meanwhile is lost."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, UnroutableError

from generated.events import ORDER_CREATED, ORDER_PAID, USER_DELETED
from generated.events.consumers import OrdersUsersConsumer
from generated.proto.delivery.events.v1 import UserDeleted
from services.orders.entrypoints.consumers import HistoryConsumer
from services.runtime.core.clock import now
from services.runtime.core.ids import generate_id
from services.runtime.messaging import outbox
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.events import EXCHANGE, Envelope, MessageMetadata
from services.runtime.messaging.topology import RETRY_DELAYS_S, get_dead_letter_queue, get_retry_exchange
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.orders import Orders
from tests.integration.fixtures.servers import Servers
from tests.metric_values import read_metric
from tests.wait import wait_until_async

EVENT_EXCHANGE, HISTORY_QUEUE, PARTNER_QUEUE = "orders.events", "orders.history", "partners.calls"


@contextmanager
def open_admin_channel(servers: Servers) -> Iterator[BlockingChannel]:
    with pika.BlockingConnection(pika.URLParameters(servers.admin_broker_url)) as connection:
        yield connection.channel()


def is_declared(servers: Servers, queue: str) -> bool:
    with open_admin_channel(servers) as channel:
        try:
            channel.queue_declare(queue, passive=True)
        except ChannelClosedByBroker:
            return False
    return True


def count_messages_about(servers: Servers, queue: str, subject: str) -> int:
    """Remove all messages from a queue, and return how many were about the subject."""
    with open_admin_channel(servers) as channel:
        messages = iter(lambda: channel.basic_get(queue, auto_ack=True), (None, None, None))
        return sum(properties.headers["cloudEvents:subject"] == subject for _, properties, _ in messages)


def is_bound(servers: Servers, event_type: str) -> bool:
    """Return whether a queue receives events of the type. The published message expires at once."""
    with open_admin_channel(servers) as channel:
        channel.confirm_delivery()
        try:
            channel.basic_publish(EVENT_EXCHANGE, event_type, b"", pika.BasicProperties(expiration="0"), mandatory=True)
        except UnroutableError:
            return False
    return True


async def is_history_received(servers: Servers, order_id: str) -> bool:
    """Return whether the history queue has received a message about an order. Messages stay in the queue."""
    with open_admin_channel(servers) as channel:
        messages = iter(lambda: channel.basic_get(HISTORY_QUEUE), (None, None, None))
        # Closing the channel requeues the messages.
        return any(properties.headers["cloudEvents:subject"] == order_id for _, properties, _ in [*messages])


@pytest.fixture
async def partners_broker(servers: Servers) -> AsyncIterator[Broker]:
    broker = Broker(servers.settings("partners")["BROKER_URL"], "partners")
    await declare_topology(broker)
    yield broker
    await declare_topology(broker)


async def declare_topology(broker: Broker) -> None:
    """Open a connection, which declares the queues."""
    async with broker.open_channel():
        pass


async def wait_until_outbox_is_empty(orders: Orders) -> None:
    async def is_empty() -> bool:
        return await orders.count_pending_events() == 0

    await wait_until_async(is_empty)


async def test_event_without_one_of_its_queues_waits_for_the_owner(
    orders: Orders, servers: Servers, partners_broker: Broker
) -> None:
    async def are_only_paid_orders_pending() -> bool:
        return {row["type"] for row in await orders.execute_sql("SELECT type FROM outbox")} == {ORDER_PAID.type}

    assert {HISTORY_QUEUE, PARTNER_QUEUE} < {*ORDER_PAID.queues}
    order_id = await orders.place_order()
    unroutable_before = read_metric("delivery_outbox_unroutable_events_total", event=ORDER_PAID.type)
    relay = orders.create_relay()
    async with run_in_background(relay.run()):
        await wait_until_outbox_is_empty(orders)
        # The events of other tests were checked, so that only that of this test is published again.
        await wait_until_async(lambda: math.isinf(relay._routing_check.seconds_until_due))
        with open_admin_channel(servers) as channel:
            channel.queue_delete(PARTNER_QUEUE)
            channel.queue_purge(HISTORY_QUEUE)
        await orders.pay(order_id)
        await wait_until_async(
            lambda: read_metric("delivery_outbox_unroutable_events_total", event=ORDER_PAID.type) > unroutable_before
        )
        assert await orders.count_pending_events() > 0, "the event would be lost"
        later_order_id = await orders.place_order()
        await wait_until_async(lambda: is_history_received(servers, later_order_id))
        await wait_until_async(are_only_paid_orders_pending)
        await declare_topology(partners_broker)
        await wait_until_outbox_is_empty(orders)
    assert await asyncio.to_thread(count_messages_about, servers, PARTNER_QUEUE, order_id) == 1
    length = await asyncio.to_thread(count_messages_about, servers, HISTORY_QUEUE, order_id)
    assert length == 2, "consumers ignore the repeated event"


async def test_queue_of_running_consumer_is_restored_without_loss(
    orders: Orders, servers: Servers, partners_broker: Broker
) -> None:
    async def is_history_complete() -> bool:
        entries = [await orders.history.list_history(order_id, 10, 0) for order_id in order_ids]
        return all([each.status for each in history] == ["pending", "paid"] for history in entries)

    order_ids = [await orders.place_order() for _ in range(8)]
    missing_before = read_metric("delivery_queues_missing_total", queue=HISTORY_QUEUE)
    async with run_in_background(orders.create_relay().run(), consume(orders.broker, HistoryConsumer(orders.history))):
        await wait_until_outbox_is_empty(orders)
        with open_admin_channel(servers) as channel:
            channel.queue_delete(HISTORY_QUEUE)
        for order_id in order_ids:
            await orders.pay(order_id)
        await wait_until_async(is_history_complete)
    assert read_metric("delivery_queues_missing_total", queue=HISTORY_QUEUE) > missing_before


class FailingOnceConsumer(OrdersUsersConsumer):
    """Fails at the first attempt at the message about a user."""

    def __init__(self, user_id: str) -> None:
        self.attempts: list[int] = []
        self._user_id = user_id

    async def on_user_deleted(self, event: UserDeleted, delivery: MessageMetadata) -> None:
        if event.user_id != self._user_id:  # the queue may contain messages of other tests
            return
        self.attempts.append(delivery.attempt)
        if delivery.attempt == 1:
            raise ValueError("first attempt")


async def test_failed_message_is_retried_after_its_retry_queue_is_restored(orders: Orders, servers: Servers) -> None:
    retry_queue = get_retry_exchange(FailingOnceConsumer.QUEUE, RETRY_DELAYS_S[0])
    user_id = generate_id()
    payload = USER_DELETED.encode(UserDeleted(user_id=user_id))
    envelope = Envelope(generate_id(), "/gateway", USER_DELETED.type, user_id, now(), {}, payload)
    consumer = FailingOnceConsumer(user_id)
    async with orders.admin_broker.open_channel() as channel, run_in_background(consume(orders.broker, consumer)):
        await wait_until_async(lambda: is_consumed(servers, consumer.QUEUE))
        await channel.delete_queue(retry_queue)
        await channel.publish([envelope])
        await wait_until_async(lambda: consumer.attempts == [1])
        async with orders.broker.create_separate_broker().open_channel():  # declares the queues
            await wait_until_async(lambda: consumer.attempts == [1, 2])


async def is_consumed(servers: Servers, queue: str) -> bool:
    with open_admin_channel(servers) as channel:
        return bool(channel.queue_declare(queue, passive=True).method.consumer_count)


async def test_queue_without_consumer_and_binding_are_restored_periodically(
    orders: Orders, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def are_restored() -> bool:
        return await asyncio.to_thread(is_declared, servers, dead_letter_queue) and await asyncio.to_thread(
            is_bound, servers, ORDER_CREATED.type
        )

    monkeypatch.setattr(outbox, "DECLARE_INTERVAL_S", 0.2)
    dead_letter_queue = get_dead_letter_queue(HISTORY_QUEUE)
    with open_admin_channel(servers) as channel:
        channel.queue_delete(dead_letter_queue)
        for exchange in (EVENT_EXCHANGE, EXCHANGE):  # a broker of an earlier release has a binding to the second one
            channel.queue_unbind(HISTORY_QUEUE, exchange, ORDER_CREATED.type)
    assert not is_bound(servers, ORDER_CREATED.type)
    async with run_in_background(orders.create_relay().run()):
        await wait_until_async(are_restored, interval_s=0.2)
    with open_admin_channel(servers) as channel:
        channel.queue_purge(dead_letter_queue)
