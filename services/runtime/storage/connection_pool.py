"""PostgreSQL connection pool, whose sockets stay registered with the event loop between statements.

psycopg registers the socket and sets a timer for each statement, which takes more processor time than sending it.
"""

import asyncio
from contextlib import suppress
from typing import override

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg.waiting import Ready, Wait
from psycopg_pool import AsyncConnectionPool

from services.runtime.config.postgres_conninfo import build_conninfo

RECONNECT_TIMEOUT_S = 3.0
"""Seconds during which the pool retries with growing delays. A later request begins again without a delay.

After a failover, requests therefore do not wait for the delay that the pool has reached during the outage.
"""

CANCEL_TIMEOUT_S = 5.0
"""Seconds in which a cancelled statement must end. Otherwise, its connection is closed."""

_SESSION_OPTIONS = (
    "-c statement_timeout=5000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
)


class EventLoopConnection(AsyncConnection[DictRow]):
    """Connection that waits for its socket only: a wait without timeout has no timer.

    Statements are executed with one cursor, which remembers how to convert the types of their parameters.
    """

    _registered_socket: int | None = None
    _ready: asyncio.Future[Ready] | None = None
    _statement_cursor: AsyncCursor[DictRow] | None = None

    @property
    def statement_cursor(self) -> AsyncCursor[DictRow]:
        """Return the cursor of all statements. The rows of one must be fetched before the next is executed."""
        if self._statement_cursor is None:
            self._statement_cursor = self.cursor()
        return self._statement_cursor

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

    @override
    async def close(self) -> None:
        self._remove_reader()
        await super().close()

    async def _run(self, gen: PQGen[RV]) -> RV:
        is_complete = False
        try:
            state = next(gen)
            while True:
                state = gen.send(await self._wait_until_ready(state))
        except StopIteration as end:
            is_complete = True
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
            self._registered_socket = socket
            loop.add_reader(socket, self._on_ready, Ready.R)
        try:
            if not state & Wait.W:
                return await ready
            loop.add_writer(socket, self._on_ready, Ready.W)
            try:
                return await ready
            finally:
                loop.remove_writer(socket)
        finally:
            self._ready = None

    def _on_ready(self, state: Ready) -> None:
        if self._ready is None:
            # No statement waits: the server has closed the connection, or has sent a notice. The next statement
            # registers the socket again.
            self._remove_reader()
        elif not self._ready.done():
            self._ready.set_result(state)

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


def create_pool(url: str, max_size: int) -> AsyncConnectionPool[EventLoopConnection]:
    """Create a pool of at most `max_size` connections in autocommit mode, which is not open yet."""
    return AsyncConnectionPool(
        build_conninfo(url),
        connection_class=EventLoopConnection,
        kwargs={"autocommit": True, "row_factory": dict_row, "options": _SESSION_OPTIONS},
        min_size=1,
        max_size=max_size,
        timeout=3,
        reconnect_timeout=RECONNECT_TIMEOUT_S,
        open=False,
    )
