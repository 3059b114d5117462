"""Reconnection to the broker: backoff with jitter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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


class FakeChannel:
    """Channel of an `OpenConnection`."""

    def __init__(self) -> None:
        self.is_closed = False

    async def enable_confirms(self) -> None: ...

    async def close_and_wait(self, _: float) -> None:
        self.is_closed = True


@pytest.fixture
def declarations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace connections by `OpenConnection`, and record the services whose queues are declared."""
    declared: list[str] = []

    async def declare(service: str, _: object) -> None:
        declared.append(service)

    async def open_channel(*_: object) -> FakeChannel:
        return FakeChannel()

    monkeypatch.setattr(connection_module, "_BufferedConnection", OpenConnection)
    monkeypatch.setattr(connection_module, "_open_channel", open_channel)
    monkeypatch.setattr(topology, "declare", declare)
    monkeypatch.setattr(OpenConnection, "all", [])
    return declared


@pytest.mark.usefixtures("declarations")
@pytest.mark.parametrize(("is_lost", "is_same_host"), [(False, True), (True, False)])
async def test_only_the_loss_of_a_connection_changes_the_host(is_lost: bool, is_same_host: bool) -> None:
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


@pytest.mark.usefixtures("declarations")
async def test_channels_share_a_connection_while_one_is_open() -> None:
    broker = Broker("amqp://broker.test", "test")
    async with broker.open_channel() as first:
        async with broker.open_channel() as second:
            (connection,) = OpenConnection.all
        assert cast(FakeChannel, second).is_closed
        assert connection.is_open
        assert not cast(FakeChannel, first).is_closed
    assert not connection.is_open
    async with broker.open_channel():
        assert len(OpenConnection.all) == 2


@pytest.mark.usefixtures("declarations")
async def test_separate_broker_has_a_connection_of_its_own() -> None:
    broker = Broker("amqp://broker.test", "test")
    async with broker.open_channel(), broker.create_separate_broker().open_channel():
        assert len(OpenConnection.all) == 2


@pytest.mark.usefixtures("declarations")
async def test_channel_after_the_loss_uses_a_new_connection() -> None:
    broker = Broker("amqp://one.test,two.test", "test")
    async with broker.open_channel():
        OpenConnection.all[0].close()
        async with broker.open_channel(), broker.open_channel():
            assert len(OpenConnection.all) == 2


async def test_queues_are_declared_once_for_channels_that_are_opened_together(declarations: list[str]) -> None:
    broker = Broker("amqp://broker.test", "test")
    are_open = asyncio.Barrier(3)

    async def use() -> None:
        async with broker.open_channel():
            await are_open.wait()

    await asyncio.gather(*(use() for _ in range(3)))
    assert declarations == ["test"]


async def test_loss_of_one_channel_declares_the_queues_again(declarations: list[str]) -> None:
    broker = Broker("amqp://broker.test", "test")
    async with broker.open_channel():
        with pytest.raises(BrokerUnavailable):
            async with broker.open_channel():
                raise BrokerUnavailable("consumer cancelled by the broker")
        async with broker.open_channel():
            pass
    assert len(OpenConnection.all) == 1
    assert declarations == ["test"] * 3


@pytest.mark.usefixtures("declarations")
async def test_connection_that_opens_no_channel_in_time_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker("amqp://one.test,two.test", "test")
    async with broker.open_channel():
        with monkeypatch.context() as patch:
            patch.setattr(connection_module, "_open_channel", lambda *_: asyncio.Event().wait())
            patch.setattr(connection_module, "OPEN_TIMEOUT_S", -topology.RESTORE_DELAY_S)
            with pytest.raises(BrokerUnavailable):
                async with broker.open_channel():
                    pass
        async with broker.open_channel():
            pass
    first, second = OpenConnection.all
    assert first.host != second.host


@pytest.mark.usefixtures("declarations")
async def test_connection_on_which_no_channel_can_be_opened_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker("amqp://broker.test", "test")

    async def fail(*_: object) -> None:
        raise BrokerUnavailable("no reply")

    async with broker.open_channel():
        with monkeypatch.context() as patch:
            patch.setattr(topology, "declare", fail)
            with pytest.raises(BrokerUnavailable):
                async with broker.open_channel():
                    pass
        async with broker.open_channel():
            assert len(OpenConnection.all) == 2
        assert [connection.is_open for connection in OpenConnection.all] == [True, False]


@pytest.mark.usefixtures("declarations")
async def test_cancelled_attempt_does_not_affect_others(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker("amqp://broker.test", "test")

    async def use() -> None:
        async with broker.open_channel():
            pass

    cancelled, completed = asyncio.create_task(use()), asyncio.create_task(use())
    await asyncio.sleep(0)
    cancelled.cancel()
    await completed
    assert cancelled.cancelled()
    assert len(OpenConnection.all) == 1
