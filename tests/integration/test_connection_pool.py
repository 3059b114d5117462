"""Connections to a real PostgreSQL: large messages, cancelled statements, and ends of connections."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import Float, Text, bindparam, func, literal, select

from generated.problems import Reason
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.config.postgres_conninfo import build_conninfo
from services.runtime.core.errors import ApiError
from services.runtime.storage import connection_pool
from services.runtime.storage.connection_pool import WATCH_INTERVAL_S, EventLoopConnection, _Watch
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from tests.fault_proxy import FaultProxy
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

PID = Statement(select(func.pg_backend_pid().label("pid")))
SLOW_PID = Statement(select(func.pg_backend_pid().label("pid"), func.pg_sleep(0.5)))
DELAYED_PID = Statement(select(func.pg_backend_pid().label("pid"), func.pg_sleep(bindparam("seconds", type_=Float))))
SLEEP = Statement(select(func.pg_sleep(30), literal("test_connection_pool")))
ECHO = Statement(select(bindparam("text", type_=Text).label("text")))


class _Rollback(Exception):
    pass


@pytest.fixture
def url(servers: Servers) -> str:
    return servers.settings("orders")["DATABASE_URL"]


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """Database with one connection."""
    async with Database(url, max_size=1) as database:
        yield database


async def get_pid(database: Database) -> int:
    row = await database.fetch_one(PID)
    assert row is not None
    return int(row["pid"])


async def terminate_backend(url: str, pid: int) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


async def is_executing(url: str, pid: int) -> bool:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        cursor = await other.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [pid])
        return await cursor.fetchone() == ("active",)


async def start_sleep(database: Database, url: str, pid: int) -> asyncio.Task[int]:
    sleep = asyncio.create_task(database.execute(SLEEP))
    await wait_until_async(lambda: is_executing(url, pid))
    return sleep


async def test_message_larger_than_socket_buffers_is_sent_and_received(database: Database) -> None:
    text = "x" * 20_000_000
    row = await database.fetch_one(ECHO, text=text)
    assert row == {"text": text}


async def test_cancelled_statement_ends_and_its_connection_is_reused(database: Database, url: str) -> None:
    pid = await get_pid(database)
    sleep = await start_sleep(database, url, pid)
    sleep.cancel()
    await asyncio.wait([sleep], timeout=5)
    assert sleep.cancelled()
    assert not await is_executing(url, pid)
    assert await get_pid(database) == pid


async def test_end_of_connection_during_statement_is_unavailability(database: Database, url: str) -> None:
    pid = await get_pid(database)
    sleep = await start_sleep(database, url, pid)
    await terminate_backend(url, pid)
    with pytest.raises(ApiError) as raised:
        await sleep
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert await get_pid(database) != pid


async def test_connection_that_was_used_last_is_used_first(url: str) -> None:
    async with Database(url, max_size=3) as database:
        pids = {await row for row in asyncio.as_completed([get_pid_slowly(database) for _ in range(3)])}
        assert len(pids) == 3
        assert len({await get_pid(database) for _ in range(6)}) == 1


async def test_idle_connection_that_has_ended_is_replaced_first(url: str) -> None:
    async with Database(url, max_size=2) as database:
        pids = {await row for row in asyncio.as_completed([get_pid_slowly(database) for _ in range(2)])}
        used = await get_pid(database)
        (spare,) = pids - {used}
        await terminate_backend(url, spare)
        await wait_until_async(lambda: has_ended_connection(database))
        with pytest.raises(ApiError) as raised:
            await get_pid(database)
        assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
        assert await get_pid(database) != spare


async def get_pid_slowly(database: Database) -> int:
    row = await database.fetch_one(SLOW_PID)
    assert row is not None
    return int(row["pid"])


async def has_ended_connection(database: Database) -> bool:
    return any(connection.closed for connection in database._pool._pool)


async def test_end_of_idle_connection_is_unavailability_once(database: Database, url: str) -> None:
    pid = await get_pid(database)
    await terminate_backend(url, pid)
    with pytest.raises(ApiError) as raised:
        await get_pid(database)
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert await get_pid(database) != pid


async def test_message_to_idle_connection_takes_no_processor_time(url: str) -> None:
    async with await EventLoopConnection.connect(build_conninfo(url), autocommit=True) as connection:
        await connection.execute("LISTEN test_connection_pool")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
            await other.execute("NOTIFY test_connection_pool, 'a'")
        started_at = time.process_time()
        await asyncio.sleep(0.3)
        assert time.process_time() - started_at < 0.1
        assert [each.payload async for each in connection.notifies(stop_after=1)] == ["a"]


async def test_wait_with_timeout_ends_at_its_deadline(url: str) -> None:
    async with await EventLoopConnection.connect(build_conninfo(url), autocommit=True) as connection:
        await connection.execute("LISTEN test_connection_pool")
        assert [each async for each in connection.notifies(timeout=0.05)] == []
        cursor = await connection.execute("SELECT 1 AS one")
        assert await cursor.fetchone() == (1,)


async def test_end_of_idle_connection_fails_its_next_statement(database: Database, url: str) -> None:
    await terminate_backend(url, await get_pid(database))
    async with asyncio.timeout(2):
        with pytest.raises(ApiError) as raised:
            await get_pid(database)
    assert raised.value.reason == Reason.UPSTREAM_UNAVAILABLE


@contextmanager
def open_proxy(url: str) -> Iterator[tuple[FaultProxy, str]]:
    """Yield a proxy in front of the database of the URL, and the URL of the proxy."""
    parts = urlsplit(url)
    with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
        yield proxy, parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()


async def test_reset_connection_fails_its_statement(url: str) -> None:
    with open_proxy(url) as (proxy, proxied_url):
        async with Database(proxied_url, max_size=1) as database:
            sleep = await start_sleep(database, url, await get_pid(database))
            proxy.reset_connections()
            async with asyncio.timeout(2):
                with pytest.raises(ApiError) as raised:
                    await sleep
    assert raised.value.reason == Reason.UPSTREAM_UNAVAILABLE


@pytest.fixture
def _short_response_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_pool, "RESPONSE_TIMEOUT_S", 1.0)


@pytest.mark.usefixtures("_short_response_timeout")
async def test_unresponsive_server_fails_its_batch_and_not_the_next_one(url: str) -> None:
    with open_proxy(url) as (proxy, proxied_url):
        async with Database(proxied_url, max_size=1) as database:

            async def echo(texts: Sequence[str]) -> Sequence[str]:
                rows = [await database.fetch_one(ECHO, text=text) for text in texts]
                return [row["text"] for row in rows if row is not None]

            batcher = MicroBatcher(echo, max_batch_size=1)
            assert await batcher.submit("a") == "a"
            proxy.silence_connections()
            async with asyncio.timeout(10):
                first, second = asyncio.create_task(batcher.submit("b")), asyncio.create_task(batcher.submit("c"))
                await asyncio.wait([first, second])
    with pytest.raises(ApiError) as raised:
        first.result()
    assert raised.value.reason == Reason.UPSTREAM_UNAVAILABLE
    assert second.result() == "c"


@pytest.mark.usefixtures("_short_response_timeout")
async def test_unresponsive_server_fails_its_commit(url: str) -> None:
    async def commit_silently(database: Database, proxy: FaultProxy) -> None:
        async with database.transaction() as transaction:
            await transaction.fetch_one(PID)
            proxy.silence_connections()

    with open_proxy(url) as (proxy, proxied_url):
        async with Database(proxied_url, max_size=1) as database, asyncio.timeout(10):
            with pytest.raises(ApiError) as raised:
                await commit_silently(database, proxy)
            assert raised.value.reason == Reason.UPSTREAM_UNAVAILABLE
            assert await get_pid(database)


@pytest.mark.usefixtures("_short_response_timeout")
async def test_idle_connections_to_unresponsive_server_are_replaced(url: str) -> None:
    with open_proxy(url) as (proxy, proxied_url):
        async with Database(proxied_url, max_size=3) as database:
            async with database.connection(), database.connection(), database.connection():
                pass
            proxy.silence_connections()
            async with asyncio.timeout(10):
                with pytest.raises(ApiError):
                    await get_pid(database)
                pids = await asyncio.gather(*(get_pid(database) for _ in range(3)))
            assert all(pids)


@pytest.mark.usefixtures("_short_response_timeout")
async def test_statements_of_a_connection_have_separate_response_timeouts(database: Database) -> None:
    pids = {await get_pid_in(database, 0.4) for _ in range(4)}
    assert len(pids) == 1


async def get_pid_in(database: Database, seconds: float) -> int:
    row = await database.fetch_one(DELAYED_PID, seconds=seconds)
    assert row is not None
    return int(row["pid"])


async def test_transaction_on_closed_connection_is_not_committed(database: Database) -> None:
    async def close_during_transaction() -> None:
        async with database.transaction() as transaction:
            await transaction.fetch_one(PID)
            await transaction.connection.close()

    with pytest.raises(ApiError) as raised:
        await close_during_transaction()
    assert raised.value.reason == Reason.UPSTREAM_UNAVAILABLE


async def test_closed_connection_ends_its_statement(url: str) -> None:
    connection = await EventLoopConnection.connect(build_conninfo(url), autocommit=True)
    sleep = asyncio.create_task(connection.execute("SELECT pg_sleep(30)"))
    await wait_until_async(lambda: is_executing(url, connection.info.backend_pid))
    await connection.close()
    async with asyncio.timeout(2):
        with pytest.raises(psycopg.OperationalError):
            await sleep


async def test_socket_is_not_registered_after_failed_rollback(url: str) -> None:
    """A failed rollback raises nothing, but libpq has closed the socket: the next one has its file descriptor."""
    async with await EventLoopConnection.connect(build_conninfo(url), autocommit=True) as connection:
        descriptor = connection.fileno()
        with suppress(_Rollback):
            async with connection.transaction():
                await connection.execute("SELECT 1")
                await terminate_backend(url, connection.info.backend_pid)
                raise _Rollback
        assert not asyncio.get_running_loop().remove_reader(descriptor)


async def test_timer_of_waiting_statements_ends_with_them(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[float] = []
    check_all = _Watch._check_all

    def count_check(watch: _Watch) -> None:
        checks.append(time.monotonic())
        check_all(watch)

    monkeypatch.setattr(_Watch, "_check_all", count_check)
    await database.fetch_one(SLOW_PID)
    assert checks
    checks.clear()
    await get_pid(database)
    await asyncio.sleep(2 * WATCH_INTERVAL_S)
    assert not checks
