"""Stream of an order's status changes: resumption, final statuses and expiry of the token."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta

import pytest

from generated.problems import Reason
from services.orders.domain.addresses import DelivererPosition
from services.orders.domain.orders import OrderStatus
from services.orders.usecases import order_tracking
from services.orders.usecases.order_tracking import OrderUpdate, watch_order
from services.runtime.core.principal import Principal
from tests.unit.fake_transactions import NOW, build_principal, raises_reason
from tests.unit.orders.fakes import ADA, ADMIN, BOB, FakeChangeListener, FakeRepository, build_order

PRINCIPAL = replace(ADA, expires_at=NOW + timedelta(hours=1))


def watch(
    repository: FakeRepository, listener: FakeChangeListener, after_version: int | None = None
) -> AsyncGenerator[OrderUpdate]:
    return watch_order(repository, listener, repository.clock, PRINCIPAL, "o1", after_version)


async def change(repository: FakeRepository, status: OrderStatus) -> None:
    before = repository.orders["o1"]
    await repository.orders.update(before, replace(before, status=status, version=before.version + 1), "test")


async def test_stream_yields_current_status_then_changes_until_final() -> None:
    repository, listener = FakeRepository(build_order()), FakeChangeListener()
    stream = watch(repository, listener)
    assert (await anext(stream)).status is OrderStatus.PENDING
    for status in (OrderStatus.PAID, OrderStatus.CANCELLED):
        await change(repository, status)
        listener.notify()
        assert (await anext(stream)).status is status
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert listener.subscribers == []


async def test_waiting_stream_is_notified_of_change() -> None:
    repository, listener = FakeRepository(build_order()), FakeChangeListener()
    stream = watch(repository, listener)
    await anext(stream)
    pending = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not pending.done()
    await change(repository, OrderStatus.PAID)
    listener.notify()
    assert (await pending).status is OrderStatus.PAID
    await stream.aclose()
    assert listener.subscribers == []


async def test_lost_notification_is_compensated_by_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_tracking, "POLL_INTERVAL_S", 0.001)
    repository, listener = FakeRepository(build_order()), FakeChangeListener()
    stream = watch(repository, listener)
    await anext(stream)
    pending = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    await change(repository, OrderStatus.EXPIRED)
    assert (await pending).status is OrderStatus.EXPIRED


@pytest.mark.parametrize(
    ("after_version", "versions"), [(1, [2, 3]), (2, [3]), (3, []), (None, [3]), (0, [3]), (-1, [3]), (4, [3])]
)
async def test_stream_resumes_after_known_version(after_version: int | None, versions: list[int]) -> None:
    repository = FakeRepository(build_order())
    await change(repository, OrderStatus.PAID)
    await change(repository, OrderStatus.CANCELLED)
    stream = watch(repository, FakeChangeListener(), after_version)
    assert [entry.version async for entry in stream] == versions


async def test_customer_receives_positions_while_order_is_delivered() -> None:
    order = replace(build_order(OrderStatus.DELIVERING), deliverer_id=BOB.user_id)
    repository, listener = FakeRepository(order), FakeChangeListener()
    stream = watch(repository, listener)
    assert await anext(stream) == OrderUpdate(1, OrderStatus.DELIVERING, NOW)
    for latitude in (1.5, 2.5):
        pending = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        position = DelivererPosition("o1", latitude, 10, NOW)
        await repository.positions.save(position)
        listener.notify()
        assert await pending == OrderUpdate(1, OrderStatus.DELIVERING, NOW, position)
    await change(repository, OrderStatus.DELIVERED)
    listener.notify()
    assert [(update.status, update.position) async for update in stream] == [(OrderStatus.DELIVERED, None)]


async def test_unchanged_position_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_tracking, "POLL_INTERVAL_S", 0.001)
    repository, listener = FakeRepository(build_order(OrderStatus.DELIVERING)), FakeChangeListener()
    await repository.positions.save(DelivererPosition("o1", 1.5, 10, NOW))
    stream = watch(repository, listener)
    updates = [await anext(stream) for _ in range(2)]
    assert [update.position is None for update in updates] == [True, False]
    pending = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.01)
    assert not pending.done()
    await change(repository, OrderStatus.DELIVERED)
    assert (await pending).status is OrderStatus.DELIVERED


@pytest.mark.parametrize("principal", [BOB, ADMIN], ids=lambda principal: principal.user_id)
async def test_positions_are_sent_to_the_customer_only(principal: Principal) -> None:
    order = replace(build_order(OrderStatus.DELIVERING), deliverer_id=BOB.user_id)
    repository, listener = FakeRepository(order), FakeChangeListener()
    await repository.positions.save(DelivererPosition("o1", 1.5, 10, NOW))
    principal = replace(principal, expires_at=PRINCIPAL.expires_at)
    stream = watch_order(repository, listener, repository.clock, principal, "o1", None)
    assert (await anext(stream)).position is None
    pending = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.01)
    assert not pending.done()
    await change(repository, OrderStatus.DELIVERED)
    listener.notify()
    assert (await pending).position is None


async def test_stream_ends_when_token_expires() -> None:
    repository, listener = FakeRepository(build_order()), FakeChangeListener()
    stream = watch(repository, listener)
    await anext(stream)
    repository.now = PRINCIPAL.expires_at
    assert [entry async for entry in stream] == []
    assert listener.subscribers == []


@pytest.mark.parametrize(("user_id", "order_id"), [("eve", "o1"), ("ada", "unknown")])
async def test_stream_of_invisible_order_raises(user_id: str, order_id: str) -> None:
    repository, listener = FakeRepository(build_order()), FakeChangeListener()
    stream = watch_order(repository, listener, repository.clock, build_principal("customer", user_id), order_id, None)
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await anext(stream)
    assert listener.subscribers == []
