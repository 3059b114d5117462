"""The outbox under faults, on real servers: whoever dies, every event arrives, and arrives as one."""

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
from services.runtime.core.ids import new_id
from services.runtime.messaging.channel import Message
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.events import Envelope, MessageMetadata
from tests.conftest import ROOT
from tests.integration.fixtures.orders import Orders
from tests.integration.fixtures.servers import Servers
from tests.integration.test_events import beside, until


class Seen(HistoryConsumer):
    """Counts what arrives, by event and order."""

    def __init__(self, orders: Orders) -> None:
        super().__init__(orders.history)
        self.times: Counter[tuple[str, str]] = Counter()

    async def order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
        self.times[delivery.event_id, delivery.subject] += 1

    def of(self, order_ids: list[str]) -> dict[str, set[str]]:
        """By order, the ids of its events."""
        return {order: {event for event, subject in self.times if subject == order} for order in order_ids}


@asynccontextmanager
async def relaying(moment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "tests.integration.fixtures.relay_process", moment]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def drained(orders: Orders) -> None:
    async def empty() -> bool:
        return await orders.count_pending_events() == 0

    await until(empty, 40)


async def arrived(seen: Seen, order_ids: list[str]) -> None:
    async def all_of_them() -> bool:
        return all(seen.of(order_ids).values())

    await until(all_of_them, 40)


@pytest.mark.parametrize("moment", ["take", "publish"])
async def test_a_relay_that_is_killed_loses_nothing_and_makes_nothing_new(orders: Orders, moment: str) -> None:
    async with beside(orders.create_relay().run()):
        await drained(orders)
    order_ids = [await orders.place_order() for _ in range(20)]
    # One event an order, published once more for each relay that died after it had been published.
    async with relaying(moment) as dying:
        async with asyncio.timeout(20):
            assert await dying.wait() == -signal.SIGKILL

    async def given_back() -> bool:
        return await orders.count_pending_events() == len(order_ids)

    await until(given_back)
    seen = Seen(orders)
    async with beside(consume(orders.broker, seen)), relaying("never"):
        await drained(orders)
        times = 1 if moment == "take" else 2

        async def as_often_as_published() -> bool:
            return [seen.times[event, order] for order in order_ids for event in seen.of([order])[order]] == [
                times
            ] * 20

        await until(as_often_as_published)


async def test_several_relays_of_which_some_are_killed_share_one_table(orders: Orders) -> None:
    seen = Seen(orders)
    order_ids: list[str] = []
    async with beside(consume(orders.broker, seen)), relaying("never"), relaying("never") as second:
        for number in range(60):
            order_ids.append(await orders.place_order())
            if number == 30:
                second.kill()
        async with relaying("never"):
            await drained(orders)
        await arrived(seen, order_ids)
    assert all(len(events) == 1 for events in seen.of(order_ids).values())


async def test_a_broker_that_is_killed_gets_the_backlog_once_it_is_back(orders: Orders, servers: Servers) -> None:
    seen = Seen(orders)
    async with beside(orders.create_relay().run(), consume(orders.broker, seen)):
        first = [await orders.place_order() for _ in range(5)]
        await arrived(seen, first)
        report = read_supervisor_state(servers.state)
        assert report is not None
        broker = next(child for child in report.children if child.name == "rabbitmq")
        os.kill(broker.pid, signal.SIGKILL)
        order_ids = [await orders.place_order() for _ in range(50)]
        assert await orders.count_pending_events() >= 40
        await drained(orders)
        await arrived(seen, order_ids)
    assert all(len(events) == 1 for events in seen.of(order_ids).values())


TYPES = {
    OrderStatus.PENDING: "orders.created",
    OrderStatus.PAID: "orders.paid",
    OrderStatus.READY: "orders.ready",
    OrderStatus.DELIVERING: "orders.assigned",
    OrderStatus.DELIVERED: "orders.delivered",
    OrderStatus.CANCELLED: "orders.cancelled",
    OrderStatus.EXPIRED: "orders.expired",
}


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[int, OrderStatus]]:
    """A legal life of an order, as far as it has come; versions that are missing changed no status."""
    version, status = 1, OrderStatus.PENDING
    life = [(version, status)]
    while TRANSITIONS[status] and draw(st.booleans()):
        status = draw(st.sampled_from(sorted(TRANSITIONS[status])))
        version += draw(st.integers(1, 3))
        life.append((version, status))
    return life


def message(order_id: str, event_id: str, version: int, status: OrderStatus) -> Message:
    """The event of one step, as it arrives."""
    kind = next(kind for kind in EVENTS.values() if kind.type == TYPES[status])
    facts = OrderSnapshot(order_id=order_id, version=version, actor="test", at=now())
    event: Any = kind.message(order=facts)
    envelope = Envelope(event_id, "/orders", kind.type, order_id, now(), {}, kind.encode(event))
    return Message(1, BasicProperties(headers=envelope.to_headers()), envelope.payload)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=lives(), data=st.data())
async def test_history_is_the_same_in_whatever_order_and_however_often_it_is_told(
    orders: Orders, life: list[tuple[int, OrderStatus]], data: st.DataObject
) -> None:
    order_id = new_id()
    messages = [message(order_id, new_id(), version, status) for version, status in life]
    repeated = data.draw(st.lists(st.sampled_from(range(len(life))), max_size=6))
    told = data.draw(st.permutations([*range(len(life)), *repeated]))
    history = HistoryConsumer(orders.history)
    for index in told:
        await history.dispatch(messages[index], 1)
    entries = await orders.history.list_history(order_id, 100, 0)
    assert [(entry.version, entry.status) for entry in entries] == life
