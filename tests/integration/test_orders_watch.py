"""Watching an order on real servers: notifications, resumption, the fallback to polling, and positions.

Positions are stored by services.orders.adapters.postgres.deliverer_positions.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import pytest

from generated.problems import Reason
from services.orders import usecases
from services.orders.adapters import order_change_listener
from services.orders.adapters.order_change_listener import PostgresOrderChangeListener
from services.orders.domain.addresses import Coordinates
from services.orders.domain.orders import OrderStatus
from services.orders.usecases import order_tracking
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal
from tests.integration.fixtures.orders import ADA, Orders
from tests.wait import wait_until_async

BOB = Principal("bob", "deliverer", "", True, now() + timedelta(hours=1))


@asynccontextmanager
async def run_listener(orders: Orders) -> AsyncIterator[PostgresOrderChangeListener]:
    listener = PostgresOrderChangeListener(orders.database.url)
    with listener.subscribe("ready") as connected:
        task = asyncio.create_task(listener.run())
        try:
            async with asyncio.timeout(5):
                await connected.wait()
            yield listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def assign_order(orders: Orders, order_id: str) -> None:
    await orders.pay(order_id)
    await usecases.mark_order_ready(
        orders.repository, now, "orders.readiness", generate_id(), order_id, 1, "1 Market Square"
    )
    await usecases.assign_order(orders.repository, now, BOB, order_id)


async def deliver_order(orders: Orders, order_id: str) -> None:
    await assign_order(orders, order_id)
    await usecases.complete_order(orders.repository, now, BOB, order_id)


async def test_watch_streams_changes_and_ends_at_final_status(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_tracking, "POLL_INTERVAL_S", 3600)
    order_id = await orders.place_order()
    async with run_listener(orders) as listener:
        entries = usecases.watch_order(orders.repository, listener, now, ADA, order_id, None)
        assert (await anext(entries)).status is OrderStatus.PENDING
        delivery = asyncio.create_task(deliver_order(orders, order_id))
        async with asyncio.timeout(10):
            changes = [(entry.version, entry.status) async for entry in entries]
        await delivery
    assert changes == [(2, "paid"), (3, "ready"), (4, "delivering"), (5, "delivered")]


@pytest.mark.parametrize(
    ("after", "versions"), [(1, [2, 3, 4, 5]), (3, [4, 5]), (5, []), (6, [5]), (0, [5]), (None, [5])]
)
async def test_watch_resumes_after_version(orders: Orders, after: int | None, versions: list[int]) -> None:
    order_id = await orders.place_order()
    await deliver_order(orders, order_id)
    listener = PostgresOrderChangeListener(orders.database.url)
    async with asyncio.timeout(5):
        entries = usecases.watch_order(orders.repository, listener, now, ADA, order_id, after)
        assert [entry.version async for entry in entries] == versions


async def test_watch_ends_when_token_expires(orders: Orders) -> None:
    order_id = await orders.place_order()
    expiring = Principal("ada", "customer", "", True, now() + timedelta(seconds=0.3))
    listener = PostgresOrderChangeListener(orders.database.url)
    async with asyncio.timeout(3):
        entries = usecases.watch_order(orders.repository, listener, now, expiring, order_id, None)
        assert [entry.status async for entry in entries] == ["pending"]


async def test_watch_of_other_customers_order_raises_not_found(orders: Orders) -> None:
    order_id = await orders.place_order()
    eve = Principal("eve", "customer", "", True, now() + timedelta(hours=1))
    listener = PostgresOrderChangeListener(orders.database.url)
    with pytest.raises(ApiError) as raised:
        await anext(usecases.watch_order(orders.repository, listener, now, eve, order_id, None))
    assert raised.value.reason is Reason.ORDER_NOT_FOUND


async def test_watch_without_notifications_falls_back_to_polling(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_tracking, "POLL_INTERVAL_S", 0.05)
    order_id = await orders.place_order()
    stopped_listener = PostgresOrderChangeListener(orders.database.url)
    async with (
        asyncio.timeout(5),
        aclosing(usecases.watch_order(orders.repository, stopped_listener, now, ADA, order_id, None)) as entries,
    ):
        await anext(entries)
        await orders.pay(order_id)
        assert (await anext(entries)).status is OrderStatus.PAID


async def test_watch_streams_positions_until_delivery(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_tracking, "POLL_INTERVAL_S", 3600)
    order_id = await orders.place_order()
    await assign_order(orders, order_id)
    async with run_listener(orders) as listener, asyncio.timeout(10):
        updates = usecases.watch_order(orders.repository, listener, now, ADA, order_id, None)
        assert (await anext(updates)).status is OrderStatus.DELIVERING
        for latitude in (39.78, -0.5):
            coordinates = Coordinates(latitude, -89.65)
            await usecases.report_deliverer_position(orders.repository, now, BOB, order_id, coordinates)
            update = await anext(updates)
            assert (update.version, update.status) == (4, OrderStatus.DELIVERING)
            assert update.position is not None
            assert (update.position.latitude, update.position.longitude) == (latitude, -89.65)
        await usecases.complete_order(orders.repository, now, BOB, order_id)
        assert [(update.version, update.position) async for update in updates] == [(5, None)]
    assert await orders.execute_sql("SELECT * FROM deliverer_positions") == []


async def test_positions_are_not_in_the_write_ahead_log(orders: Orders) -> None:
    [table] = await orders.execute_sql("SELECT relpersistence FROM pg_class WHERE relname = 'deliverer_positions'")
    assert table["relpersistence"] == "u"


async def is_listening(orders: Orders, expected: bool) -> bool:
    listeners = "FROM pg_stat_activity WHERE query ~ '^LISTEN' AND datname = current_database()"
    return bool(await orders.execute_sql(f"SELECT pid {listeners}")) == expected


async def test_process_listens_only_while_there_are_subscribers(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_change_listener, "UNUSED_TIMEOUT_S", 0.2)
    listener = PostgresOrderChangeListener(orders.database.url)
    task = asyncio.create_task(listener.run())
    async with asyncio.timeout(10):
        for _ in range(2):
            assert await is_listening(orders, False)
            with listener.subscribe("a") as first:
                await first.wait()
                assert await is_listening(orders, True)
                with listener.subscribe("b"):
                    pass
            with listener.subscribe("c"):  # a client that reconnects in time
                await wait_until_async(lambda: is_listening(orders, True))
            await wait_until_async(lambda: is_listening(orders, False))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
