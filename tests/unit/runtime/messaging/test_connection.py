"""Reconnection to the broker: backoff with jitter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from services.runtime.core.backoff import JITTER_RATIO
from services.runtime.messaging import connection as connection_module
from services.runtime.messaging import topology
from services.runtime.messaging.channel import BrokerUnavailable, Channel, MessageUnroutable
from services.runtime.messaging.connection import INITIAL_RECONNECT_DELAY_S, MAX_RECONNECT_DELAY_S, Broker


class UnreachableBroker(Broker):
    """Broker to which no connection can be opened."""

    @asynccontextmanager
    async def open_channel(self) -> AsyncIterator[Channel]:
        raise BrokerUnavailable("connection refused")
        yield


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the delays of `asyncio.sleep`, which returns at once and is cancelled the tenth time."""
    recorded: list[float] = []

    async def sleep(delay_s: float) -> None:
        recorded.append(delay_s)
        if len(recorded) == 10:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return recorded


async def test_broker_reconnects_with_backoff_and_jitter(delays: list[float]) -> None:
    async def work(channel: Channel) -> None:
        raise AssertionError(channel)

    with pytest.raises(asyncio.CancelledError):
        await UnreachableBroker("amqp://broker.test", "test").run_with_reconnect(work)
    schedule = [min(INITIAL_RECONNECT_DELAY_S * 2**number, MAX_RECONNECT_DELAY_S) for number in range(10)]
    ratios = [delay_s / scheduled_s for delay_s, scheduled_s in zip(delays, schedule, strict=True)]
    assert len(set(ratios)) > 1, "without jitter, all processes would reconnect at the same time"
    assert all(abs(ratio - 1) <= JITTER_RATIO + 1e-9 for ratio in ratios)


async def test_work_that_fails_at_once_reconnects_with_backoff(delays: list[float]) -> None:
    class ConnectedBroker(Broker):
        @asynccontextmanager
        async def open_channel(self) -> AsyncIterator[Channel]:
            yield cast(Channel, None)

    async def work(_: Channel) -> None:
        raise MessageUnroutable("no queue")

    with pytest.raises(asyncio.CancelledError):
        await ConnectedBroker("amqp://broker.test", "test").run_with_reconnect(work)
    assert delays[-1] >= MAX_RECONNECT_DELAY_S * (1 - JITTER_RATIO)


class OpenConnection:
    """Connection that is open at once. `all` are the connections in their order."""

    all: ClassVar[list["OpenConnection"]] = []

    def __init__(self, parameters: Any, *, on_open_callback: Any, on_close_callback: Any, **_: Any) -> None:
        self.is_open = True
        self._on_close = on_close_callback
        self.host = parameters.host
        self.all.append(self)
        asyncio.get_running_loop().call_soon(on_open_callback, self)

    def close(self) -> None:
        self.is_open = False
        self._on_close(self, ConnectionError("closed"))


@pytest.mark.parametrize(("is_lost", "is_same_host"), [(False, True), (True, False)])
async def test_only_the_loss_of_a_connection_changes_the_host(
    monkeypatch: pytest.MonkeyPatch, is_lost: bool, is_same_host: bool
) -> None:
    async def do_nothing(*_: object) -> None: ...

    async def open_channel(*_: object) -> SimpleNamespace:
        return SimpleNamespace(enable_confirms=do_nothing)

    monkeypatch.setattr(connection_module, "_BufferedConnection", OpenConnection)
    monkeypatch.setattr(connection_module, "_open_channel", open_channel)
    monkeypatch.setattr(topology, "declare", do_nothing)
    monkeypatch.setattr(OpenConnection, "all", [])
    broker = Broker("amqp://one.test,two.test,three.test", "test")

    async def fail() -> None:
        async with broker.open_channel():
            if is_lost:
                OpenConnection.all[0].close()
            raise BrokerUnavailable("message nacked by the broker")

    with pytest.raises(BrokerUnavailable):
        await fail()
    async with broker.open_channel():
        pass
    first, second = OpenConnection.all
    assert (first.host == second.host) is is_same_host
