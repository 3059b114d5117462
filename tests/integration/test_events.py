"""Events on real servers: they leave once committed, arrive once in effect, and a poison message delays nobody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
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
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import new_id
from services.runtime.core.principal import Principal
from services.runtime.messaging import outbox
from services.runtime.messaging.channel import Channel
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.events import Envelope, MessageMetadata
from tests.integration.fixtures.orders import ADA, Orders


@contextlib.asynccontextmanager
async def beside(*work: Any) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(probe: Any, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await probe():
            await asyncio.sleep(0.02)


async def test_an_orders_life_becomes_its_history(orders: Orders) -> None:
    consumers = [
        HistoryConsumer(orders.history),
        PaymentsConsumer(orders.history),
        ReadinessConsumer(orders.repository, now),
    ]
    async with beside(orders.create_relay().run(), *(consume(orders.broker, consumer) for consumer in consumers)):
        order_id = await orders.place_order()
        await orders.pay(order_id)
        bob = Principal("bob", "deliverer", "", True, now())
        await usecases.mark_order_ready(
            orders.repository, now, "orders.readiness", new_id(), order_id, 1, "1 Market Square"
        )
        await usecases.assign_order(orders.repository, now, bob, order_id)
        await usecases.complete_order(orders.repository, now, bob, order_id)

        async def five() -> bool:
            page = await usecases.get_history(orders.repository, orders.history, ADA, order_id, 20, "")
            return [entry.status for entry in page.items] == ["pending", "paid", "ready", "delivering", "delivered"]

        await until(five)


async def test_several_relays_publish_each_event_and_leave_none(orders: Orders) -> None:
    ids = [await orders.place_order() for _ in range(30)]
    seen: list[str] = []

    class Counting(HistoryConsumer):
        async def order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
            if event.order is not None:
                seen.append(event.order.order_id)

    async with beside(
        *(orders.create_relay().run() for _ in range(3)), consume(orders.broker, Counting(orders.history))
    ):

        async def drained() -> bool:
            return await orders.count_pending_events() == 0 and set(ids) <= set(seen)

        await until(drained)
    assert len([order_id for order_id in seen if order_id in ids]) == len(ids)


async def test_a_crash_between_publish_and_delete_publishes_again_with_the_same_id(orders: Orders) -> None:
    async with beside(orders.create_relay().run()):
        await until(lambda: _is(orders.count_pending_events(), 0))
    await orders.place_order()
    seen: list[str] = []

    class Crashing(Channel):
        async def _taken(self, *sent: Any) -> None:
            await super()._taken(*sent)
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "as if the process had died here")

    class Seen(HistoryConsumer):
        async def order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
            seen.append(delivery.event_id)

    async with orders.broker.open_channel() as channel, beside(consume(orders.broker, Seen(orders.history))):
        channel.__class__ = Crashing
        with pytest.raises(ApiError):
            await orders.create_relay()._publish_pending(channel)
        channel.__class__ = Channel
        assert await orders.count_pending_events() == 1
        await orders.create_relay()._publish_pending(channel)
        await until(lambda: _is(_length(seen), 2))
    assert len(set(seen)) == 1


class Watched(Channel):
    """Keeps what was sent. The second batch is over only when a third has been sent, and fails then if it shall."""

    batches: list[list[str]]
    fails: bool

    @classmethod
    def on(cls, channel: Channel, *, fails: bool = False) -> "Watched":
        """Watches a channel from now on."""
        channel.__class__ = cls
        watched = cast(Watched, channel)
        watched.batches, watched.fails = [], fails
        return watched

    @property
    def sent(self) -> list[str]:
        """The ids of events, as they were sent."""
        return [event_id for batch in self.batches for event_id in batch]

    def publish_nowait(self, envelopes: Any) -> Any:
        batch = [*envelopes]
        self.batches.append([each.id for each in batch])
        return self._wait(super().send_all(batch), len(self.batches))

    async def _wait(self, confirmed: Any, number: int) -> None:
        await confirmed
        if number == 2:
            await until(self._third)
            if self.fails:
                raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "as if the database had gone here")

    async def _third(self) -> bool:
        return len(self.batches) > 2


@pytest.fixture
async def backlog(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of thirty events that wait, oldest first, of which batches take five."""
    async with beside(orders.create_relay().run()):
        await until(lambda: _is(orders.count_pending_events(), 0))
    for _ in range(30):
        await orders.place_order()
    monkeypatch.setattr(outbox, "BATCH_SIZE", 5)
    return [row["event_id"] for row in await orders.execute_sql("SELECT event_id FROM outbox ORDER BY id")]


async def test_a_backlog_leaves_in_its_order_with_one_batch_sent_while_another_is_confirmed(
    orders: Orders, backlog: list[str]
) -> None:
    async with orders.broker.open_channel() as channel:
        watched = Watched.on(channel)
        await orders.create_relay()._publish_pending(watched)
        assert watched.sent == backlog
    assert await orders.count_pending_events() == 0


async def test_a_batch_that_fails_takes_no_other_with_it(orders: Orders, backlog: list[str]) -> None:
    async with orders.broker.open_channel() as channel:
        watched = Watched.on(channel, fails=True)
        with pytest.raises(ApiError):
            await orders.create_relay()._publish_pending(watched)
        left = [row["event_id"] for row in await orders.execute_sql("SELECT event_id FROM outbox ORDER BY id")]
        assert not {*backlog[:5], *backlog[10:15]} & {*left}, "what was confirmed would be sent again"
        assert {*watched.sent, *left} == {*backlog}

        again = Watched.on(channel)
        await orders.create_relay()._publish_pending(again)
        assert again.sent == left
    assert await orders.count_pending_events() == 0


async def _length(items: list[str]) -> int:
    return len(items)


async def _is(value: Any, wanted: Any) -> bool:
    return bool(await value == wanted)


async def test_a_repeated_event_has_one_effect(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    event_id = new_id()
    for _ in range(3):
        await usecases.mark_order_ready(
            orders.repository, now, "orders.readiness", event_id, order_id, 1, "1 Market Square"
        )
    order = await orders.repository.get_order(order_id)
    assert order is not None
    assert (order.status, order.version) == (OrderStatus.READY, 3)


class Picky(OrdersHistoryConsumer):
    """Fails at events of one order, as often as it comes."""

    def __init__(self, poison: str) -> None:
        self.poison = poison
        self.taken: list[str] = []
        self.attempts = 0

    async def order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
        if event.order is not None and event.order.order_id == self.poison:
            self.attempts += 1
            raise ValueError("poison")
        self.taken.append(event.order.order_id if event.order else "")

    async def order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None: ...

    async def order_ready(self, event: OrderReady, delivery: MessageMetadata) -> None: ...

    async def order_assigned(self, event: OrderAssigned, delivery: MessageMetadata) -> None: ...

    async def order_delivered(self, event: OrderDelivered, delivery: MessageMetadata) -> None: ...

    async def order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None: ...

    async def order_expired(self, event: OrderExpired, delivery: MessageMetadata) -> None: ...


def created(order_id: str, payload: bytes | None = None) -> Envelope:
    event = OrderCreated(order=OrderSnapshot(order_id=order_id, version=1))
    body = ORDER_CREATED.encode(event) if payload is None else payload
    return Envelope(new_id(), "/test", ORDER_CREATED.type, order_id, now(), {}, body)


async def dead(channel: Channel, queue: str) -> int:
    counted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    channel._channel.queue_declare(queue, passive=True, callback=lambda ok: counted.set_result(ok.method.message_count))
    return await counted


async def test_a_poison_message_delays_nobody_and_ends_as_a_dead_letter(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.runtime.messaging.consumer.RETRY_DELAYS_S", (1,))
    consumer = Picky("poison")
    async with orders.broker.open_channel() as channel, beside(consume(orders.broker, consumer)):
        before = await dead(channel, "orders.history.dead")
        await channel.publish([created("poison"), created("garbage", b"\xff\xff\xff"), created("good")])
        await until(lambda: _is(_contains(consumer.taken, "good"), True), 3)

        async def buried() -> bool:
            return await dead(channel, "orders.history.dead") == before + 2

        await until(buried)
    assert consumer.attempts == 2


async def _contains(items: list[str], item: str) -> bool:
    return item in items


async def test_of_many_who_want_a_delivery_exactly_one_gets_it(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await usecases.mark_order_ready(
        orders.repository, now, "orders.readiness", new_id(), order_id, 1, "1 Market Square"
    )

    reasons: set[Reason] = set()

    async def take(name: str) -> str | None:
        who = Principal(name, "deliverer", "", True, now())
        try:
            return (await usecases.assign_order(orders.repository, now, who, order_id)).deliverer_id
        except ApiError as refused:
            reasons.add(refused.reason)
            return None

    winners = [name for name in await asyncio.gather(*(take(f"d{number}") for number in range(8))) if name]
    assert len(winners) == 1
    assert reasons == {Reason.ORDER_STATE_CONFLICT}
    assert await take(winners[0]) == winners[0]


async def test_of_many_confirmations_of_one_check_one_order_comes(orders: Orders) -> None:
    check_id = new_id()
    made = await asyncio.gather(*(orders.place_order(check_id) for _ in range(6)))
    assert len(set(made)) == 1


async def test_of_many_callbacks_with_one_id_one_counts(orders: Orders) -> None:
    order_id = await orders.place_order()
    webhook_id = new_id()
    answers = await asyncio.gather(*(orders.pay(order_id, webhook_id=webhook_id) for _ in range(5)))
    order = await orders.repository.get_order(order_id)
    assert order is not None
    assert len(set(answers)) == 1
    assert (order.paid_amount, order.payment_id) == (200, answers[0])
