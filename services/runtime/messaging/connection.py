"""Connection to RabbitMQ through pika's asyncio adapter; it declares the queues of its service."""

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, override

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel as PikaChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from services.runtime.concurrency.coalescing import RequestCoalescer
from services.runtime.concurrency.futures import mark_exception_retrieved
from services.runtime.config.urls import list_broker_urls
from services.runtime.core import backoff
from services.runtime.messaging import topology
from services.runtime.messaging.channel import BrokerUnavailable, Channel
from services.runtime.messaging.heartbeats import HeartbeatResponder

log = logging.getLogger(__name__)

_NOT_FOUND, _PRECONDITION_FAILED = 404, 406
"""AMQP reply codes."""

INITIAL_RECONNECT_DELAY_S = 0.2
MAX_RECONNECT_DELAY_S = 5.0

HEARTBEAT_S = 6
"""Seconds, twice the interval of heartbeats, to which TCP_OPTIONS applies if the connection is otherwise idle."""

SOCKET_TIMEOUT_S = 2
"""Timeout of a TCP connection attempt to one host."""

TCP_OPTIONS = {"TCP_USER_TIMEOUT": 3000}
"""Milliseconds after which a connection is closed whose sent data an unreachable host has not acknowledged."""


OPEN_TIMEOUT_S = 10.0
"""Timeout of opening a channel, including the connection and without a delay for missing queues."""

CLOSE_TIMEOUT_S = 2.0
"""Timeout of closing a channel or a connection."""


class _QueueArgumentMismatch(BrokerUnavailable, topology.QueueArgumentMismatch):
    """A BrokerUnavailable as well, since the broker has closed the channel of the failed declaration."""


class _QueueMissing(BrokerUnavailable, topology.QueueMissing):
    """A BrokerUnavailable as well, since the broker has closed the channel."""


_ERROR_BY_REPLY_CODE: Mapping[int | None, type[BrokerUnavailable]] = {
    _NOT_FOUND: _QueueMissing,
    _PRECONDITION_FAILED: _QueueArgumentMismatch,
}


class _BufferedConnection(AsyncioConnection):  # type: ignore[misc]  # pika has no types
    """Connection with one write per iteration of the event loop; pika makes one system call per message."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._write_buffer: list[bytes] = []
        super().__init__(*arguments, **options)

    def write(self, frames: bytes) -> None:
        """Write encoded frames after those that pika has written."""
        self._adapter_emit_data(frames)

    @override
    def _create_heartbeat_checker(self) -> HeartbeatResponder:
        return HeartbeatResponder(self, self.params.heartbeat)

    @override
    def _adapter_emit_data(self, data: bytes) -> None:
        if not self._write_buffer:
            asyncio.get_running_loop().call_soon(self._flush)
        self._write_buffer.append(data)

    def _flush(self) -> None:
        data = b"".join(self._write_buffer)
        self._write_buffer.clear()
        if self._transport is not None:
            super()._adapter_emit_data(data)


class _Connection:
    """Connection to one host with several channels. Its user count is that of `Broker.open_channel`."""

    def __init__(self, parameters: pika.URLParameters) -> None:
        """Begin to connect."""
        self.parameters = parameters
        self.users = 0
        self.is_abandoned = False
        """Set after a failure that may leave channels open: no further ones are opened."""
        self._declarations = RequestCoalescer(self._declare_queues)
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[AsyncioConnection] = loop.create_future()
        self._opened.add_done_callback(mark_exception_retrieved)
        self._pending: list[asyncio.Future[Any]] = [self._opened]
        self._closed = asyncio.Event()
        self._connection = _BufferedConnection(
            parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
            custom_ioloop=loop,
        )

    def _on_open(self, connection: AsyncioConnection) -> None:
        if self._opened.done():  # `close` was called meanwhile
            connection.close()
        else:
            self._opened.set_result(connection)

    def _on_closed(self, _connection: AsyncioConnection, error: BaseException) -> None:
        _fail_pending(self._pending, error)
        self._closed.set()

    @property
    def is_open(self) -> bool:
        """Return whether channels can be opened."""
        return bool(self._connection.is_open)

    @property
    def is_usable(self) -> bool:
        """Return whether the connection is open or is being opened."""
        return not (self.is_abandoned or self._closed.is_set())

    async def open_channel(self, service: str) -> Channel:
        """Declare the queues of the service, and open a channel in confirm mode. Raises BrokerUnavailable or AMQPError.

        The queues are declared once for channels that are opened together.
        """
        await asyncio.shield(self._opened)
        await self._declarations.get(service)
        channel = await self._open_channel()
        await channel.enable_confirms()
        return channel

    async def _declare_queues(self, service: str) -> None:
        await topology.declare(service, self._open_channel)

    async def _open_channel(self) -> Channel:
        return await _open_channel(self._connection, self._pending)

    async def close(self) -> None:
        """Close the connection and wait until it is closed, for at most CLOSE_TIMEOUT_S."""
        self._opened.cancel()
        if self._connection.is_open:
            self._connection.close()
        # `_closed` and not the loss of a channel: channels close first, while the socket is still open.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), timeout=CLOSE_TIMEOUT_S)


class Broker:
    """Connection to one broker, with the name of a service, for any number of channels.

    The URL may contain several hosts, separated by commas. After its loss, the next connection is opened to the next
    host. The first host is random, so that the services are distributed over the nodes of a cluster.
    """

    def __init__(self, url: str, service: str) -> None:
        self._url = url
        self._service = service
        self._endpoints = deque(map(self._build_parameters, list_broker_urls(url)))
        self._endpoints.rotate(random.randrange(len(self._endpoints)))  # noqa: S311 (not a secret)
        self._connection: _Connection | None = None

    def create_separate_broker(self) -> "Broker":
        """Return a broker with a connection of its own.

        A relay needs one: a broker that runs out of memory stops reading from connections that publish, on which
        consumers could then not acknowledge messages.
        """
        return Broker(self._url, self._service)

    def _build_parameters(self, url: str) -> pika.URLParameters:
        parameters = pika.URLParameters(url)
        parameters.client_properties = {"connection_name": self._service}
        parameters.heartbeat = HEARTBEAT_S
        parameters.blocked_connection_timeout = 30
        parameters.socket_timeout = SOCKET_TIMEOUT_S
        parameters.tcp_options = TCP_OPTIONS
        return parameters

    @asynccontextmanager
    async def open_channel(self) -> AsyncIterator[Channel]:
        """Yield a channel in confirm mode. The connection is open while it has channels. Raises BrokerUnavailable."""
        async with self._use_connection() as connection:
            try:
                channel = await self._open_channel(connection)
                try:
                    yield channel
                finally:
                    if connection.users > 1:
                        await channel.close_and_wait(CLOSE_TIMEOUT_S)
            except BrokerUnavailable:
                # A nack or a closed channel concerns a queue, whose leader is possibly on a host that is unavailable.
                if not connection.is_open:
                    self._skip_endpoint(connection.parameters)
                raise
            except (AMQPError, TimeoutError) as error:
                connection.is_abandoned = True
                self._skip_endpoint(connection.parameters)
                raise BrokerUnavailable(str(error) or type(error).__name__) from error

    async def _open_channel(self, connection: _Connection) -> Channel:
        """Open a channel. After a failure, which may leave channels open, others use another connection."""
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S + topology.RESTORE_DELAY_S):
                return await connection.open_channel(self._service)
        except BaseException:
            connection.is_abandoned = True
            raise

    @asynccontextmanager
    async def _use_connection(self) -> AsyncIterator[_Connection]:
        connection = self._connection
        if connection is None or not connection.is_usable:
            connection = self._connection = _Connection(self._endpoints[0])
        connection.users += 1
        try:
            yield connection
        finally:
            connection.users -= 1
            if not connection.users:
                if self._connection is connection:
                    self._connection = None
                await connection.close()

    def _skip_endpoint(self, parameters: pika.URLParameters) -> None:
        """Use the next host, unless the failure of another connection to this host has already had this effect."""
        if self._endpoints[0] is parameters:
            self._endpoints.rotate(-1)

    async def run_with_reconnect(self, work: Callable[[Channel], Awaitable[None]]) -> None:
        """Run `work` on a channel until cancelled; when the channel is lost, reconnect with backoff and restart it.

        The backoff starts again after a channel that lasted longer than the longest delay, so that work which fails at
        once does not reconnect in a tight loop. The delays have jitter, so that the processes do not all reconnect at
        the same time after a broker restart.
        """
        failures = 0
        while True:
            opened_at = math.inf
            try:
                async with self.open_channel() as channel:
                    opened_at = time.monotonic()
                    await work(channel)
            except BrokerUnavailable as error:
                has_lasted = time.monotonic() - opened_at > MAX_RECONNECT_DELAY_S
                failures = 1 if has_lasted else failures + 1
                delay_s = backoff.compute_exponential_delay_s(
                    failures, INITIAL_RECONNECT_DELAY_S, MAX_RECONNECT_DELAY_S
                )
                delay_s = backoff.apply_jitter(delay_s)
                log.warning("broker unavailable: %s; reconnecting in %.1f s", error, delay_s)
                await asyncio.sleep(delay_s)


async def _open_channel(connection: AsyncioConnection, pending: list[asyncio.Future[Any]]) -> Channel:
    """Open a channel. Its futures are added to `pending`, which fail when the connection closes.

    Futures of channels that are closed are removed.
    """
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[PikaChannel] = loop.create_future()
    lost: asyncio.Future[None] = loop.create_future()
    lost.add_done_callback(mark_exception_retrieved)
    pending[:] = [*(future for future in pending if not future.done()), opened, lost]

    def on_open(channel: PikaChannel) -> None:
        channel.add_on_close_callback(lambda _channel, error: _fail_pending([opened, lost], error))
        # Deleting or moving a queue cancels its consumers without closing the channel.
        channel.add_on_cancel_callback(lambda _frame: _fail_pending([lost], "consumer cancelled by the broker"))
        if not opened.done():
            opened.set_result(channel)

    connection.channel(on_open_callback=on_open)
    return Channel(await opened, lost, lambda: _open_channel(connection, pending))


def _fail_pending(futures: Iterable[asyncio.Future[Any]], error: BaseException | str) -> None:
    reply_code: int | None = error.reply_code if isinstance(error, ChannelClosedByBroker) else None
    error_type = _ERROR_BY_REPLY_CODE.get(reply_code, BrokerUnavailable)
    for future in futures:
        if not future.done():
            future.set_exception(error_type(str(error) or type(error).__name__))
