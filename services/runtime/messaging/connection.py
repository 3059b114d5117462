"""RabbitMQ by pika's asyncio adapter: one connection at a time, with the topology of the contract."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel as PikaChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from services.runtime.messaging import topology
from services.runtime.messaging.channel import BrokerUnavailable, Channel

log = logging.getLogger(__name__)

_PRECONDITION_FAILED = 406
"""AMQP's PRECONDITION_FAILED."""

_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class _QueueArgumentMismatch(BrokerUnavailable, topology.QueueArgumentMismatch):
    """Nobody can go on with a channel that a declaration has closed, whoever catches this."""


class _BufferedConnection(AsyncioConnection):  # type: ignore[misc]  # pika has no types
    """Says in one write what one turn of the loop has to say; pika would make a system call of every message."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._write_buffer: list[bytes] = []
        super().__init__(*arguments, **options)

    def _adapter_emit_data(self, data: bytes) -> None:
        if not self._write_buffer:
            asyncio.get_running_loop().call_soon(self._flush)
        self._write_buffer.append(data)

    def _flush(self) -> None:
        data = b"".join(self._write_buffer)
        self._write_buffer.clear()
        if self._transport is not None:
            super()._adapter_emit_data(data)


class Broker:
    """Opens connections to one broker, as one user."""

    def __init__(self, url: str, connection_name: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.client_properties = {"connection_name": connection_name}
        self._parameters.heartbeat = 30
        self._parameters.blocked_connection_timeout = 30
        self._parameters.socket_timeout = 5

    @asynccontextmanager
    async def open_channel(self) -> AsyncIterator[Channel]:
        """A connection with one channel, in confirm mode, the topology declared. Raises BrokerUnavailable."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[AsyncioConnection] = loop.create_future()
        waiting: list[asyncio.Future[Any]] = [opened]
        closed = asyncio.Event()

        def on_connection(connection: AsyncioConnection) -> None:
            if opened.done():  # whoever wanted it has given up
                connection.close()
            else:
                opened.set_result(connection)

        def on_closed(_connection: AsyncioConnection, error: BaseException) -> None:
            _fail_pending(waiting, error)
            closed.set()

        connection = _BufferedConnection(
            self._parameters,
            on_open_callback=on_connection,
            on_open_error_callback=on_closed,
            on_close_callback=on_closed,
            custom_ioloop=loop,
        )
        try:
            async with asyncio.timeout(10):
                await opened
                await topology.declare(lambda: _open_channel(connection, waiting))
                channel = await _open_channel(connection, waiting)
                await channel.enable_confirms()
            yield channel
        except (AMQPError, TimeoutError) as error:
            raise BrokerUnavailable(str(error) or type(error).__name__) from error
        finally:
            if connection.is_open:
                connection.close()
            # Not `lost`: closing closes the channel first, and the socket is still open then.
            with suppress(TimeoutError):
                await asyncio.wait_for(closed.wait(), timeout=2)

    async def run_with_reconnect(self, work: Callable[[Channel], Awaitable[None]]) -> None:
        """Runs `work` on a channel, on a new one whenever it is lost, with backoff, until cancelled."""
        failures = 0
        while True:
            try:
                async with self.open_channel() as channel:
                    failures = 0
                    await work(channel)
            except BrokerUnavailable as error:
                pause = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
                failures += 1
                log.warning("the broker is away, trying again in %s s: %s", pause, error)
                await asyncio.sleep(pause)


async def _open_channel(connection: AsyncioConnection, pending: list[asyncio.Future[Any]]) -> Channel:
    """Opens a channel; `waiting` are the futures that fail when the connection goes."""
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[PikaChannel] = loop.create_future()
    lost: asyncio.Future[None] = loop.create_future()
    lost.add_done_callback(lambda future: future.exception())
    pending += (opened, lost)

    def on_open(channel: PikaChannel) -> None:
        channel.add_on_close_callback(lambda _channel, error: _fail_pending([opened, lost], error))
        # A queue that is deleted or moves ends its consumers, and nothing else would say so.
        channel.add_on_cancel_callback(lambda _frame: _fail_pending([lost], "the broker has ended a consumer"))
        if not opened.done():
            opened.set_result(channel)

    connection.channel(on_open_callback=on_open)
    return Channel(await opened, lost)


def _fail_pending(futures: Iterable[asyncio.Future[Any]], error: BaseException | str) -> None:
    kind = (
        _QueueArgumentMismatch
        if isinstance(error, ChannelClosedByBroker) and error.reply_code == _PRECONDITION_FAILED
        else BrokerUnavailable
    )
    for future in futures:
        if not future.done():
            future.set_exception(kind(str(error) or type(error).__name__))
