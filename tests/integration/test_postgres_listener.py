"""LISTEN connections on a real PostgreSQL: reconnection after a killed backend and after outages of the server."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.rows import DictRow

from services.runtime.storage import listener as listener_module
from services.runtime.storage.listener import Heartbeat, Listener
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

CHANNEL = "Test channel"


class RecordingListener:
    """Listener that records its notifications and states."""

    def __init__(self, url: str, heartbeat: Heartbeat | None = None) -> None:
        self.payloads: list[str] = []
        self.states: list[bool] = []
        self.listener = Listener(
            url,
            CHANNEL,
            on_notification=self.payloads.append,
            on_state_change=self._record_state,
            heartbeat=heartbeat,
        )

    def _record_state(self) -> None:
        self.states.append(self.listener.is_listening)

    async def wait_for_states(self, *states: bool) -> None:
        async def have_occurred() -> bool:
            return self.states == list(states)

        await wait_until_async(have_occurred)

    async def wait_for_payloads(self, *payloads: str) -> None:
        async def are_received() -> bool:
            return self.payloads == list(payloads)

        await wait_until_async(are_received)


@pytest.fixture
def url(servers: Servers) -> str:
    return servers.settings("orders")["DATABASE_URL"]


@pytest.fixture
async def connection(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


@asynccontextmanager
async def run_listener(url: str, heartbeat: Heartbeat | None = None) -> AsyncIterator[RecordingListener]:
    recording = RecordingListener(url, heartbeat)
    async with run_in_background(recording.listener.run()):
        yield recording


async def notify(connection: psycopg.AsyncConnection, payload: str) -> None:
    await connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])


async def terminate_listening_backends(connection: psycopg.AsyncConnection, channel: str) -> int:
    cursor = await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = %s", [f'LISTEN "{channel}"']
    )
    return len(await cursor.fetchall())


@pytest.fixture
def proxied_url(url: str) -> str:
    """Return the URL with a placeholder for the port of a proxy."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:%d").geturl()


async def test_listener_reconnects_after_backend_is_killed(url: str, connection: psycopg.AsyncConnection) -> None:
    async with run_listener(url) as recording:
        await recording.wait_for_states(True)
        await notify(connection, "before")
        await recording.wait_for_payloads("before")
        assert await terminate_listening_backends(connection, CHANNEL) == 1
        await recording.wait_for_states(True, False, True)
        await notify(connection, "after")
        await recording.wait_for_payloads("before", "after")
    assert recording.states == [True, False, True, False]


async def test_listener_is_not_listening_until_server_is_back(
    url: str,
    proxied_url: str,
    connection: psycopg.AsyncConnection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def have_attempts_failed() -> bool:
        return len(caplog.records) >= 4

    monkeypatch.setattr(listener_module, "MAX_RECONNECT_DELAY_S", 0.2)
    monkeypatch.setattr(listener_module, "CONNECT_TIMEOUT_S", 0.5)
    parts = urlsplit(url)
    with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
        for fault in (Fault.DOWN, Fault.UNRESPONSIVE, Fault.DROP_RESPONSE):
            proxy.set_fault(Fault.NONE)
            async with run_listener(proxied_url % proxy.port) as recording:
                await recording.wait_for_states(True)
                proxy.set_fault(fault)
                await recording.wait_for_states(True, False)
                caplog.clear()
                await wait_until_async(have_attempts_failed)
                assert recording.states == [True, False]
                proxy.set_fault(Fault.NONE)
                await recording.wait_for_states(True, False, True)
                await notify(connection, str(fault))
                await recording.wait_for_payloads(str(fault))


async def test_heartbeat_detects_within_a_second_that_packets_are_dropped(
    url: str, proxied_url: str, connection: psycopg.AsyncConnection
) -> None:
    async def run_query(connection: psycopg.AsyncConnection[DictRow]) -> None:
        await connection.execute("SELECT 1")

    parts = urlsplit(url)
    with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
        async with run_listener(proxied_url % proxy.port, Heartbeat(run_query)) as recording:
            await recording.wait_for_states(True)
            proxy.silence_connections()
            async with asyncio.timeout(1):
                await recording.wait_for_states(True, False)
            await recording.wait_for_states(True, False, True)
            await notify(connection, "after")
            await recording.wait_for_payloads("after")


@pytest.mark.parametrize("has_heartbeat", [False, True])
async def test_listener_reconnects_after_connection_is_reset(
    url: str,
    proxied_url: str,
    connection: psycopg.AsyncConnection,
    has_heartbeat: bool,
) -> None:
    async def run_query(connection: psycopg.AsyncConnection[DictRow]) -> None:
        await connection.execute("SELECT 1")

    parts = urlsplit(url)
    with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
        async with run_listener(proxied_url % proxy.port, Heartbeat(run_query) if has_heartbeat else None) as recording:
            await recording.wait_for_states(True)
            proxy.reset_connections()
            async with asyncio.timeout(2):
                await recording.wait_for_states(True, False, True)
            await notify(connection, "after")
            await recording.wait_for_payloads("after")


async def test_delayed_event_loop_does_not_end_connection_with_heartbeat(
    url: str, connection: psycopg.AsyncConnection
) -> None:
    async def delay_event_loop(connection: psycopg.AsyncConnection[DictRow]) -> None:
        asyncio.get_running_loop().call_soon(time.sleep, 0.3)
        await connection.execute("SELECT pg_sleep(0.1)")
        delays.append(0.3)

    delays: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listener_module, "HEARTBEAT_TIMEOUT_S", 0.2)
        async with run_listener(url, Heartbeat(delay_event_loop)) as recording:
            await wait_until_async(lambda: len(delays) >= 2)
            await notify(connection, "after")
            await recording.wait_for_payloads("after")
    assert recording.states == [True, False]


async def test_waiting_listener_takes_no_processor_time(url: str) -> None:
    async with run_listener(url) as recording:
        await recording.wait_for_states(True)
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        await asyncio.sleep(1)
        assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before < 5, "the event loop was woken up"


async def test_heartbeat_runs_on_request_while_it_is_not_needed(url: str, connection: psycopg.AsyncConnection) -> None:
    is_needed, runs = False, 0

    async def run_query(connection: psycopg.AsyncConnection[DictRow]) -> None:
        nonlocal runs
        await connection.execute("SELECT 1")
        runs += 1

    heartbeat = Heartbeat(run_query, lambda: is_needed)
    async with run_listener(url, heartbeat) as recording:
        await recording.wait_for_states(True)
        for number in range(2, 4):
            before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
            await asyncio.sleep(1)
            assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before < 5, "the event loop was woken up"
            await notify(connection, str(number))
            await recording.wait_for_payloads(*map(str, range(2, number + 1)))
            heartbeat.request()
            await wait_until_async(lambda expected=number: runs == expected)
        is_needed = True
        heartbeat.request()
        await wait_until_async(lambda: runs >= 6)
    assert recording.states == [True, False]


async def test_listener_without_needed_heartbeat_reconnects_after_reset(
    url: str, proxied_url: str, connection: psycopg.AsyncConnection
) -> None:
    async def run_query(connection: psycopg.AsyncConnection[DictRow]) -> None:
        await connection.execute("SELECT 1")

    parts = urlsplit(url)
    with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
        async with run_listener(proxied_url % proxy.port, Heartbeat(run_query, lambda: False)) as recording:
            await recording.wait_for_states(True)
            proxy.reset_connections()
            await recording.wait_for_states(True, False, True)
            await notify(connection, "after")
            await recording.wait_for_payloads("after")
