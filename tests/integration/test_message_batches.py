"""Messages that are handled, written and acknowledged together, on real servers: one fails, or none is acknowledged."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from generated.events import ORDER_PAID, ORDER_READY_REPORTED
from generated.proto.delivery.events.v1 import OrderPaid, OrderReadyReported, OrderSnapshot
from services.orders.domain.orders import OrderStatus
from services.orders.entrypoints.consumers import HistoryConsumer, ReadinessConsumer
from services.runtime.core.clock import now
from services.runtime.core.ids import generate_id
from services.runtime.messaging.channel import Channel
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.events import Envelope, MessageMetadata
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.orders import Orders
from tests.wait import wait_until_async

COUNT = 6
READINESS_QUEUE = "orders.readiness"


@pytest.fixture(autouse=True)
def _short_retry_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runtime.messaging.consumer.RETRY_DELAYS_S", (1,))


def build_order_paid(order_id: str) -> Envelope:
    event = OrderPaid(order=OrderSnapshot(order_id=order_id, version=2, actor="bank:visa", at=now()), payment_id="p1")
    return Envelope(generate_id(), "/orders", ORDER_PAID.type, order_id, now(), {}, ORDER_PAID.encode(event))


def build_ready_reported(order_id: str) -> Envelope:
    event = OrderReadyReported(order_id=order_id, partner_id=1, pickup_address="1 Market Square")
    payload = ORDER_READY_REPORTED.encode(event)
    return Envelope(generate_id(), "/partners", ORDER_READY_REPORTED.type, order_id, now(), {}, payload)


@asynccontextmanager
async def reject_documents(orders: Orders, order_id: str) -> AsyncIterator[None]:
    """Make MongoDB reject history entries of an order: their notes are not geometries, which the index requires."""
    await orders.history._history.create_index(
        [("note", "2dsphere")], name="rejection", partialFilterExpression={"order_id": order_id}
    )
    try:
        yield
    finally:
        await orders.history._history.drop_index("rejection")


async def test_document_that_mongodb_rejects_does_not_block_its_batch(orders: Orders) -> None:
    order_ids = [generate_id() for _ in range(COUNT)]
    poison, *others = order_ids

    async def find_recorded() -> set[str]:
        entries, _ = await orders.history.find_by_orders(order_ids)
        return {entry.order_id for entry in entries}

    async def are_others_recorded() -> bool:
        return await find_recorded() == {*others}

    async def are_all_recorded() -> bool:
        return await find_recorded() == {*order_ids}

    async with orders.admin_broker.open_channel() as channel:
        async with (
            reject_documents(orders, poison),
            run_in_background(consume(orders.broker, HistoryConsumer(orders.history))),
        ):
            await channel.publish(map(build_order_paid, order_ids))
            await wait_until_async(are_others_recorded)
        # The rejected one was not lost: it is retried.
        async with run_in_background(consume(orders.broker, HistoryConsumer(orders.history))):
            await wait_until_async(are_all_recorded)


class CountingReadinessConsumer(ReadinessConsumer):
    """Counts the messages whose transactions were committed."""

    handled = 0

    async def on_order_ready_reported(self, event: OrderReadyReported, delivery: MessageMetadata) -> None:
        await super().on_order_ready_reported(event, delivery)
        self.handled += 1


async def place_paid_orders(orders: Orders) -> list[str]:
    order_ids = [await orders.place_order() for _ in range(COUNT)]
    await asyncio.gather(*map(orders.pay, order_ids))
    return order_ids


async def count_ready_events(orders: Orders, order_ids: Sequence[str]) -> int:
    rows = await orders.execute_sql(
        "SELECT count(*) AS n FROM outbox WHERE type = 'orders.ready' AND subject = ANY(%(ids)s)", ids=list(order_ids)
    )
    return int(rows[0]["n"])


@pytest.mark.parametrize("acknowledged", [0, COUNT // 2])
async def test_crash_between_commit_and_acknowledgement_has_no_second_effect(
    orders: Orders, monkeypatch: pytest.MonkeyPatch, acknowledged: int
) -> None:
    """The channel sends a part of the acknowledgements only, then its connection ends."""
    order_ids = await place_paid_orders(orders)
    send_acknowledgement = Channel._send_acknowledgement

    pending_tags = {*range(1, acknowledged + 1)}

    def acknowledge_part(channel: Channel, delivery_tag: int, multiple: bool) -> None:
        tags = {tag for tag in pending_tags if tag == delivery_tag or (multiple and tag < delivery_tag)}
        for tag in tags:
            send_acknowledgement(channel, tag, False)
        pending_tags.difference_update(tags)

    async with orders.admin_broker.open_channel() as channel:
        first = CountingReadinessConsumer(orders.repository, now)
        with monkeypatch.context() as patch:
            patch.setattr(Channel, "_send_acknowledgement", acknowledge_part)
            async with run_in_background(consume(orders.broker, first)):
                await channel.publish(map(build_ready_reported, order_ids))
                await wait_until_async(lambda: first.handled == COUNT)

        async def is_redelivered() -> bool:
            return await channel.count_messages(READINESS_QUEUE) > 0

        await wait_until_async(is_redelivered)
        second = CountingReadinessConsumer(orders.repository, now)
        async with run_in_background(consume(orders.broker, second)):
            await wait_until_async(lambda: second.handled >= COUNT - acknowledged)
        assert await channel.count_messages(READINESS_QUEUE) == 0
    assert second.handled == COUNT - acknowledged
    for order_id in order_ids:
        order = await orders.get_order(order_id)
        assert (order.status, order.version) == (OrderStatus.READY, 3)
    assert await count_ready_events(orders, order_ids) == COUNT
