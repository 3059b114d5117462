"""PostgreSQL LISTEN connection, which reconnects with exponential backoff and jitter."""

import asyncio
import logging
import os
import select
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import override

import psycopg
from psycopg import sql
from psycopg.abc import RV, PQGen
from psycopg.rows import DictRow, dict_row

from services.runtime.config.postgres_conninfo import build_conninfo
from services.runtime.core import backoff

log = logging.getLogger(__name__)

INITIAL_RECONNECT_DELAY_S = 0.5
MAX_RECONNECT_DELAY_S = 10.0
CONNECT_TIMEOUT_S = 10.0
"""Timeout of a connection attempt to all hosts, including the LISTEN statement."""

HEARTBEAT_INTERVAL_S = 0.4
"""Interval between heartbeats."""

HEARTBEAT_TIMEOUT_S = 0.5
"""Time without a byte from the server after which a connection with a heartbeat is closed."""

WAKEUP_INTERVAL_S = 3600.0
"""Interval at which psycopg wakes up a waiting listener. Its default is a tenth of a second."""


class Heartbeat:
    """Query that is run on the connection of a listener every HEARTBEAT_INTERVAL_S while `is_needed` returns True.

    Otherwise, `request` runs it at once.
    """

    def __init__(
        self,
        run: Callable[[psycopg.AsyncConnection[DictRow]], Awaitable[None]],
        is_needed: Callable[[], bool] = lambda: True,
    ) -> None:
        self.run = run
        self.is_needed = is_needed
        self.requested = asyncio.Event()

    def request(self) -> None:
        """Run the query at once, unless it is run periodically."""
        self.requested.set()


class _Connection(psycopg.AsyncConnection[DictRow]):
    """Connection that is woken up by its socket only, so that waiting takes no processor time."""

    @override
    async def wait(self, gen: PQGen[RV], interval: float = WAKEUP_INTERVAL_S, timeout: float | None = None) -> RV:
        return await super().wait(gen, interval, timeout)

    def close_if_silent(self) -> None:
        """Close both directions of the socket unless it has data to read. The query in progress then fails at once.

        After a delay of the event loop, a response may have been received that has not been read yet. A timeout of the
        query would wait for the server, since psycopg sends a request to cancel the query.
        """
        readable = select.poll()
        readable.register(self.fileno(), select.POLLIN)
        if not readable.poll(0):
            with socket.socket(fileno=os.dup(self.fileno())) as duplicate, suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)


class Listener:
    """Listener on one notification channel.

    Calls `on_notification` with the payload of each notification, and `on_state_change` when `is_listening` has
    changed. Notifications are lost while it is not listening: poll meanwhile, and once more when it is listening again.

    With a `heartbeat`, which is also run before the connection counts as listening, the loss of a connection whose
    packets are dropped is detected within a second while it is needed. Otherwise, TCP keepalives detect it.
    """

    def __init__(
        self,
        url: str,
        channel: str,
        *,
        on_notification: Callable[[str], None],
        on_state_change: Callable[[], None],
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self.is_listening = False
        self._url = url
        self._channel = channel
        self._on_notification = on_notification
        self._on_state_change = on_state_change
        self._heartbeat = heartbeat
        self._failures = 0

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (psycopg.Error, TimeoutError) as error:
                self._failures += 1
                delay_s = backoff.apply_jitter(
                    backoff.compute_exponential_delay_s(
                        self._failures, INITIAL_RECONNECT_DELAY_S, MAX_RECONNECT_DELAY_S
                    )
                )
                log.warning(
                    "not listening on channel %s: %s; falling back to polling, reconnecting in %.1f s",
                    self._channel,
                    " ".join(str(error).split()) or type(error).__name__,
                    delay_s,
                )
                await asyncio.sleep(delay_s)

    async def _listen(self) -> None:
        async with (
            asyncio.timeout(CONNECT_TIMEOUT_S) as timeout,
            await _Connection.connect(build_conninfo(self._url), autocommit=True, row_factory=dict_row) as connection,
        ):
            with self._watch(connection):
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            await self._run_heartbeat(connection)
            timeout.reschedule(None)
            self._failures = 0
            self._set_listening(is_listening=True)
            try:
                while True:
                    await self._receive_until_heartbeat(connection)
                    await self._run_heartbeat(connection)
            finally:
                self._set_listening(is_listening=False)

    async def _receive_until_heartbeat(self, connection: _Connection) -> None:
        if self._heartbeat is None:
            await self._receive(connection, None)
        elif self._heartbeat.is_needed():
            await self._receive(connection, HEARTBEAT_INTERVAL_S)
        else:
            self._heartbeat.requested.clear()
            receiving = asyncio.create_task(self._receive(connection, None))
            requested = asyncio.create_task(self._heartbeat.requested.wait())
            try:
                await asyncio.wait((receiving, requested), return_when=asyncio.FIRST_COMPLETED)
                if receiving.done():
                    receiving.result()
            finally:
                for task in (receiving, requested):
                    task.cancel()
                await asyncio.gather(receiving, requested, return_exceptions=True)

    async def _receive(self, connection: _Connection, timeout_s: float | None) -> None:
        async for notification in connection.notifies(timeout=timeout_s):
            self._on_notification(notification.payload)

    async def _run_heartbeat(self, connection: _Connection) -> None:
        if self._heartbeat is not None:
            with self._watch(connection):
                await self._heartbeat.run(connection)

    @contextmanager
    def _watch(self, connection: _Connection) -> Iterator[None]:
        """Close a connection with a heartbeat if the statement in the block has no response in time."""
        if self._heartbeat is None:
            yield
            return
        watchdog = asyncio.get_running_loop().call_later(HEARTBEAT_TIMEOUT_S, connection.close_if_silent)
        try:
            yield
        finally:
            watchdog.cancel()

    def _set_listening(self, *, is_listening: bool) -> None:
        self.is_listening = is_listening
        self._on_state_change()
