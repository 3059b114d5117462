"""Following an order on real servers: from the change to the stream without a clock, and no change is left out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import pytest

from generated.problems import Reason
from services.orders import usecases
from services.orders.adapters.order_change_listener import PostgresOrderChangeListener
from services.orders.domain.orders import OrderStatus
from services.orders.usecases import watch_order
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import new_id
from services.runtime.core.principal import Principal
from tests.integration.fixtures.orders import ADA, Orders

BOB = Principal("bob", "deliverer", "", True, now() + timedelta(hours=1))


@asynccontextmanager
async def listening(orders: Orders) -> AsyncIterator[PostgresOrderChangeListener]:
    changes = PostgresOrderChangeListener(orders.database.url)
    with changes.subscribe("ready") as heard:
        task = asyncio.create_task(changes.run())
        try:
            async with asyncio.timeout(5):
                await heard.wait()
            yield changes
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def live(orders: Orders, order_id: str) -> None:
    await orders.pay(order_id)
    await usecases.mark_order_ready(
        orders.repository, now, "orders.readiness", new_id(), order_id, 1, "1 Market Square"
    )
    await usecases.assign_order(orders.repository, now, BOB, order_id)
    await usecases.complete_order(orders.repository, now, BOB, order_id)


async def test_a_stream_tells_every_change_at_once_and_ends_with_the_order(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_order, "POLL_INTERVAL_S", 3600)
    order_id = await orders.place_order()
    async with listening(orders) as changes:
        steps = usecases.watch_order(orders.repository, changes, now, ADA, order_id, None)
        assert (await anext(steps)).status is OrderStatus.PENDING
        living = asyncio.create_task(live(orders, order_id))
        async with asyncio.timeout(10):
            rest = [(step.version, step.status) async for step in steps]
        await living
    assert rest == [(2, "paid"), (3, "ready"), (4, "delivering"), (5, "delivered")]


@pytest.mark.parametrize(
    ("after", "versions"), [(1, [2, 3, 4, 5]), (3, [4, 5]), (5, []), (6, [5]), (0, [5]), (None, [5])]
)
async def test_who_comes_back_is_told_of_everything_since(
    orders: Orders, after: int | None, versions: list[int]
) -> None:
    order_id = await orders.place_order()
    await live(orders, order_id)
    changes = PostgresOrderChangeListener(orders.database.url)
    async with asyncio.timeout(5):
        steps = usecases.watch_order(orders.repository, changes, now, ADA, order_id, after)
        assert [step.version async for step in steps] == versions


async def test_a_stream_ends_with_the_token(orders: Orders) -> None:
    order_id = await orders.place_order()
    short = Principal("ada", "customer", "", True, now() + timedelta(seconds=0.3))
    changes = PostgresOrderChangeListener(orders.database.url)
    async with asyncio.timeout(3):
        steps = usecases.watch_order(orders.repository, changes, now, short, order_id, None)
        assert [step.status async for step in steps] == ["pending"]


async def test_others_do_not_see_that_there_is_something_to_follow(orders: Orders) -> None:
    order_id = await orders.place_order()
    eve = Principal("eve", "customer", "", True, now() + timedelta(hours=1))
    changes = PostgresOrderChangeListener(orders.database.url)
    with pytest.raises(ApiError) as refused:
        await anext(usecases.watch_order(orders.repository, changes, now, eve, order_id, None))
    assert refused.value.reason is Reason.ORDER_NOT_FOUND


async def test_a_change_that_nothing_was_heard_of_is_told_by_the_clock(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_order, "POLL_INTERVAL_S", 0.05)
    order_id = await orders.place_order()
    deaf = PostgresOrderChangeListener(orders.database.url)
    async with (
        asyncio.timeout(5),
        aclosing(usecases.watch_order(orders.repository, deaf, now, ADA, order_id, None)) as steps,
    ):
        await anext(steps)
        await orders.pay(order_id)
        assert (await anext(steps)).status is OrderStatus.PAID
