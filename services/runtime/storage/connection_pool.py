"""PostgreSQL connection pool, whose sockets stay registered with the event loop between statements.

psycopg registers the socket and sets a timer for each statement, which takes more processor time than sending it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar, override
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import RV, PQGen
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg.waiting import Ready, Wait
from psycopg_pool import AsyncConnectionPool

from services.runtime.config.postgres_conninfo import build_conninfo
from services.runtime.storage.transactions.prepared_statements import PreparedStatements

log = logging.getLogger(__name__)

RECONNECT_TIMEOUT_S = 3.0
"""Seconds during which the pool retries with growing delays. A later request begins again without a delay.

After a failover, requests therefore do not wait for the delay that the pool has reached during the outage.
"""

CANCEL_TIMEOUT_S = 5.0
"""Seconds in which a cancelled statement must end. Otherwise, its connection is closed."""

WATCH_INTERVAL_S = 0.1
"""Interval at which waiting statements check their socket for an error, as long as there are any.

uvloop reports an error of a socket once, for example a reset. A statement that waits again, as after sending, would
wait for ever.
"""

RESPONSE_TIMEOUT_S = 25.0
"""Seconds of waiting after which a statement fails and its connection is closed; its result is then unknown.

The server ends its statements earlier, but a server whose storage is frozen does not, nor does a proxy without a
server, while TCP acknowledges all packets. A commit may wait for a synchronous standby until the lease of that has
expired. Two such waits are shorter than the timeout of a message handler, whose message may wait behind another batch.
"""

SESSION_SETTINGS = {
    "statement_timeout": "5000",
    "lock_timeout": "3000",
    "idle_in_transaction_session_timeout": "30000",
    "timezone": "UTC",
}
"""Settings of all sessions. Times are in milliseconds."""


class ServerUnresponsive(psycopg.OperationalError):
    """The server has not responded within RESPONSE_TIMEOUT_S. The connection is closed."""


class _Watch:
    """Timer of all waiting connections of an event loop; one of each statement would take more processor time."""

    _by_loop: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, "_Watch"]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._waiting: set[EventLoopConnection] = set()
        self._waiting_since_last: set[EventLoopConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def get(cls) -> "_Watch":
        """Return the watch of the running event loop."""
        return cls._by_loop.setdefault(asyncio.get_running_loop(), cls())

    def add(self, connection: "EventLoopConnection") -> None:
        """Check the socket of the connection once in each interval until `discard` is called."""
        self._waiting.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WATCH_INTERVAL_S, self._check_all)

    def discard(self, connection: "EventLoopConnection") -> None:
        """End the watch of the connection. Without waiting connections, the timer does not wake up the process."""
        self._waiting.discard(connection)
        self._waiting_since_last.discard(connection)
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_all(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(WATCH_INTERVAL_S, self._check_all)
        for connection in self._waiting:
            connection.check_response_time()
        for connection in self._waiting_since_last:
            connection.check_socket()
        self._waiting_since_last = self._waiting.copy()


class EventLoopConnection(AsyncConnection[DictRow]):
    """Connection that waits for its socket only: a wait without timeout has no timer of its own."""

    _watch: _Watch | None = None
    _registered_socket: int | None = None
    _ready: asyncio.Future[Ready] | None = None
    _statements: PreparedStatements | None = None
    _check_count = 0
    """Number of intervals of the watch in which the statement has waited.

    Unlike the time since its start, it excludes times in which the process was paused and could not read a response.
    """

    @property
    def statements(self) -> PreparedStatements:
        """Return the statements of this connection."""
        if self._statements is None:
            self._statements = PreparedStatements(self)
        return self._statements

    @override
    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        if timeout is not None:
            self._remove_reader()
            return await super().wait(gen, interval, timeout)
        try:
            return await self._run(gen)
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._cancel_statement(gen)
            raise
        except ServerUnresponsive:
            log.warning("database has not responded within %g seconds; connection closed", RESPONSE_TIMEOUT_S)
            self.pgconn.finish()
            raise

    @override
    async def close(self) -> None:
        self._remove_reader()
        await super().close()

    async def _run(self, gen: PQGen[RV]) -> RV:
        is_complete = False
        self._check_count = 0
        try:
            state = next(gen)
            while True:
                state = gen.send(await self._wait_until_ready(state))
        except StopIteration as end:
            # A rollback on a connection that has ended completes without an error.
            is_complete = self.pgconn.status != ConnStatus.BAD
            result: RV = end.value
            return result
        finally:
            if not is_complete:  # libpq may have closed the socket
                self._remove_reader()

    async def _wait_until_ready(self, state: Wait) -> Ready:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Ready] = loop.create_future()
        self._ready = ready
        socket = self.pgconn.socket
        if self._registered_socket is None:
            self._add_reader(socket)
        if self._watch is None:
            self._watch = _Watch.get()
        self._watch.add(self)
        try:
            if not state & Wait.W:
                return await ready
            loop.add_writer(socket, self._on_ready, Ready.W)
            try:
                return await ready
            finally:
                loop.remove_writer(socket)
        finally:
            self._watch.discard(self)
            self._ready = None

    def _on_ready(self, state: Ready) -> None:
        if self._ready is None:
            self._read_while_idle()
        elif not self._ready.done():
            self._ready.set_result(state)

    def _read_while_idle(self) -> None:
        """Read a notice, or the end of the connection, after which the next statement fails at once.

        During a transaction nothing is read, since psycopg does not report that a closed connection cannot commit.
        """
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            self._remove_reader()
            return
        try:
            self.pgconn.consume_input()
        except psycopg.OperationalError:
            self._remove_reader()

    def check_socket(self) -> None:
        """Let the waiting statement read from the socket, which fails if the connection has ended."""
        self._remove_reader()  # uvloop reports an error of a registered socket once
        self._on_ready(Ready.R)

    def check_response_time(self) -> None:
        """Fail the waiting statement if it has waited for RESPONSE_TIMEOUT_S; called once in each interval."""
        self._check_count += 1
        if self._check_count * WATCH_INTERVAL_S < RESPONSE_TIMEOUT_S or self._ready is None or self._ready.done():
            return
        self._ready.set_exception(ServerUnresponsive(f"no response within {RESPONSE_TIMEOUT_S:g} seconds"))

    def _add_reader(self, socket: int) -> None:
        asyncio.get_running_loop().add_reader(socket, self._on_ready, Ready.R)
        self._registered_socket = socket

    def _remove_reader(self) -> None:
        if self._registered_socket is not None:
            asyncio.get_running_loop().remove_reader(self._registered_socket)
            self._registered_socket = None

    async def _cancel_statement(self, gen: PQGen[RV]) -> None:
        """Cancel the statement at the server and read its result, so that the connection can be used again."""
        try:
            with suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(CANCEL_TIMEOUT_S):
                    await self.cancel_safe(timeout=CANCEL_TIMEOUT_S)
                    await self._run(gen)
        finally:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self._remove_reader()
                self.pgconn.finish()


class _IdleConnections(deque[EventLoopConnection]):
    """Idle connections of a pool, which takes the first one.

    The first is the one that was used last, since the processor still caches the memory of its backend. Connections
    that have ended precede it, so that the pool replaces them at once, and not when all others are in use.
    """

    @override
    def append(self, x: EventLoopConnection) -> None:
        self.appendleft(x)

    @override
    def popleft(self) -> EventLoopConnection:
        for index, connection in enumerate(self):
            if connection.closed:
                del self[index]
                return connection
        return super().popleft()


def create_pool(url: str, max_size: int, settings: Mapping[str, str]) -> AsyncConnectionPool[EventLoopConnection]:
    """Create a pool of at most `max_size` connections in autocommit mode, which is not open yet.

    The sessions have the settings SESSION_SETTINGS and `settings`.
    """
    options = " ".join(f"-c {name}={value}" for name, value in {**SESSION_SETTINGS, **settings}.items())
    pool = AsyncConnectionPool(
        build_conninfo(url),
        connection_class=EventLoopConnection,
        # psycopg prepares no statements itself: after a rollback, it would deallocate all of the connection.
        kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": None, "options": options},
        min_size=1,
        max_size=max_size,
        timeout=3,
        reconnect_timeout=RECONNECT_TIMEOUT_S,
        open=False,
    )
    pool._pool = _IdleConnections()
    return pool
