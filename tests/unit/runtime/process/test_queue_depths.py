"""Gauges of queues and of the outbox, with a fake channel and a fake database."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, cast

import pytest
from opentelemetry.metrics import CallbackOptions

from generated.problems import Reason
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import BrokerUnavailable, Channel
from services.runtime.messaging.connection import Broker
from services.runtime.process import queue_depths
from services.runtime.process.queue_depths import QueueDepthGauges, build_outbox_refresh
from services.runtime.storage.database import Database
from services.runtime.telemetry.metrics import ObservableGauge

COUNTS = {"orders.users": 3, "orders.users.dead": 1, "orders.history": 0, "orders.history.dead": 0, "retry": 7}


class FakeChannel:
    """Channel with constant queue depths, until its connection is lost."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts
        self.lost = asyncio.Event()

    async def count_messages(self, queue: str) -> int:
        if queue not in self._counts:
            raise BrokerUnavailable(f"no queue {queue}")
        return self._counts[queue]

    async def wait_while_connected(self, _: asyncio.Event) -> None:
        await self.lost.wait()
        raise BrokerUnavailable("connection lost")


class FakeBroker:
    """Broker that connects once."""

    def __init__(self, channel: FakeChannel) -> None:
        self._channel = channel

    async def run_with_reconnect(self, work: Callable[[Channel], Awaitable[None]]) -> None:
        await work(cast(Channel, self._channel))


def read(gauge: ObservableGauge) -> dict[tuple[Any, ...], float]:
    return {tuple((each.attributes or {}).values()): each.value for each in gauge._observe(CallbackOptions())}


def create_gauges(channel: FakeChannel) -> QueueDepthGauges:
    return QueueDepthGauges(cast(Broker, FakeBroker(channel)), ["orders.users", "orders.history"], ["retry"])


async def test_queues_are_counted_while_connected() -> None:
    channel = FakeChannel(COUNTS)
    gauges = create_gauges(channel)
    task = asyncio.create_task(gauges.run())
    await asyncio.sleep(0)
    await gauges.refresh()
    assert read(queue_depths.BROKER_CONNECTED) == {(): 1}
    assert read(queue_depths.QUEUE_MESSAGES) == {("orders.users",): 3, ("orders.history",): 0, ("retry",): 7}
    assert read(queue_depths.QUEUE_DEAD_LETTERS) == {("orders.users",): 1, ("orders.history",): 0}

    channel.lost.set()
    with pytest.raises(BrokerUnavailable, match="connection lost"):
        await task
    with pytest.raises(BrokerUnavailable, match="not connected"):
        await gauges.refresh()
    assert read(queue_depths.BROKER_CONNECTED) == {(): 0}
    assert read(queue_depths.QUEUE_MESSAGES) == read(queue_depths.QUEUE_DEAD_LETTERS) == {}


async def test_gauges_have_no_values_after_failed_count() -> None:
    gauges = create_gauges(FakeChannel({name: count for name, count in COUNTS.items() if name != "retry"}))
    queue_depths.QUEUE_DEAD_LETTERS.set({("orders.users",): 9})
    task = asyncio.create_task(gauges.run())
    await asyncio.sleep(0)
    with pytest.raises(BrokerUnavailable, match="no queue retry"):
        await gauges.refresh()
    assert read(queue_depths.QUEUE_MESSAGES) == read(queue_depths.QUEUE_DEAD_LETTERS) == {}
    task.cancel()


class FakeDatabase:
    """Database with one row of the outbox query, or an error."""

    def __init__(self, row: Mapping[str, Any] | None, error: Exception | None = None) -> None:
        self._row = row
        self._error = error

    async def fetch_one(self, statement: Any) -> Mapping[str, Any] | None:
        assert statement.summary == "SELECT outbox"
        if self._error is not None:
            raise self._error
        return self._row


@pytest.mark.parametrize(("age_s", "lag_s"), [(None, 0), (90, 90), (-90, 0)])
async def test_outbox_lag_is_age_of_oldest_event(age_s: int | None, lag_s: int) -> None:
    oldest = None if age_s is None else now() - timedelta(seconds=age_s)
    await build_outbox_refresh(cast(Database, FakeDatabase({"rows": 4, "oldest": oldest})))()
    assert read(queue_depths.OUTBOX_PENDING_EVENTS) == {(): 4}
    assert read(queue_depths.OUTBOX_LAG)[()] == pytest.approx(lag_s, abs=5)


async def test_outbox_gauges_have_no_values_while_database_is_unavailable() -> None:
    queue_depths.OUTBOX_PENDING_EVENTS.set({(): 4})
    refresh = build_outbox_refresh(cast(Database, FakeDatabase(None, ApiError(Reason.UPSTREAM_UNAVAILABLE))))
    with pytest.raises(ApiError):
        await refresh()
    assert read(queue_depths.OUTBOX_PENDING_EVENTS) == read(queue_depths.OUTBOX_LAG) == {}
