"""RabbitMQ by pika's asyncio adapter: one connection at a time, confirms, and a topology from the contract."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel as PikaChannel
from pika.exceptions import AMQPError
from pika.spec import Basic, BasicProperties

from generated.events import EVENTS
from services.runtime.events import EXCHANGE, Envelope

log = logging.getLogger(__name__)

RETRY_DELAYS = (1, 5, 30, 120)
"""Seconds before the second, third … attempt at a message; after the last it is a dead letter."""

CONFIRM_TIMEOUT = 10.0
"""Seconds until a publish without a confirm counts as failed."""

_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)


class BrokerUnavailable(Exception):
    """The connection is gone, or the broker did not confirm; what was not confirmed may or may not have arrived."""


class Message(NamedTuple):
    """What arrived, and the tag to acknowledge it by."""

    tag: int
    properties: BasicProperties
    body: bytes


class Channel:
    """A channel in confirm mode. Once the connection is gone, everything raises BrokerUnavailable."""

    def __init__(self, channel: PikaChannel, lost: asyncio.Future[None]) -> None:
        self._channel = channel
        self._lost = lost
        self._published = 0
        self._unconfirmed: dict[int, asyncio.Future[None]] = {}
        self._loop = asyncio.get_running_loop()

    async def confirms(self) -> None:
        """Turns confirm mode on."""
        await self._answer(lambda done: self._channel.confirm_delivery(self._confirmed, callback=done))

    async def declare(self) -> None:
        """Declares the contract's whole topology, so that no event is published before its queues are there."""
        await self._answer(lambda done: self._channel.exchange_declare(EXCHANGE, "topic", durable=True, callback=done))
        for delay in RETRY_DELAYS:
            await self._declare_retry(delay)
        for queue in sorted({queue for event in EVENTS.values() for queue in event.queues}):
            await self._declare_queue(f"{queue}.dead", {})
            await self._declare_queue(
                queue,
                {
                    "x-delivery-limit": 20,
                    "x-dead-letter-exchange": "",
                    "x-dead-letter-routing-key": f"{queue}.dead",
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                },
            )
        for event in EVENTS.values():
            for queue in event.queues:
                await self._bind(queue, EXCHANGE, event.type)

    async def _declare_retry(self, delay: int) -> None:
        """A message waits here `delay` seconds and then goes to the queue that its routing key names."""
        name = retry_exchange(delay)
        await self._answer(lambda done: self._channel.exchange_declare(name, "fanout", durable=True, callback=done))
        await self._declare_queue(
            name,
            {
                "x-message-ttl": delay * 1000,
                "x-dead-letter-exchange": "",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        await self._bind(name, name, "")

    async def _declare_queue(self, name: str, arguments: dict[str, Any]) -> None:
        await self._answer(
            lambda done: self._channel.queue_declare(
                name, durable=True, arguments={"x-queue-type": "quorum", **arguments}, callback=done
            )
        )

    async def _bind(self, queue: str, exchange: str, key: str) -> None:
        await self._answer(lambda done: self._channel.queue_bind(queue, exchange, key, callback=done))

    async def publish_all(self, envelopes: Iterable[Envelope]) -> None:
        """Publishes events and waits until the broker has confirmed each of them."""
        await self._confirmed_all(
            [
                self._send(
                    EXCHANGE,
                    envelope.type,
                    envelope.payload,
                    BasicProperties(
                        content_type="application/protobuf",
                        delivery_mode=pika.DeliveryMode.Persistent,
                        message_id=envelope.id,
                        type=envelope.type,
                        timestamp=int(envelope.at.timestamp()),
                        headers=envelope.headers(),
                    ),
                )
                for envelope in envelopes
            ]
        )

    async def forward(self, exchange: str, key: str, message: Message, headers: dict[str, Any]) -> None:
        """Publishes a message that arrived once more, with these headers on top of its own."""
        properties = message.properties
        properties.headers = {**(properties.headers or {}), **headers}
        await self._confirmed_all([self._send(exchange, key, message.body, properties)])

    def _send(self, exchange: str, key: str, body: bytes, properties: BasicProperties) -> asyncio.Future[None]:
        self._check()
        self._channel.basic_publish(exchange, key, body, properties)
        self._published += 1
        future = self._unconfirmed[self._published] = self._loop.create_future()
        return future

    async def _confirmed_all(self, confirms: list[asyncio.Future[None]]) -> None:
        if confirms:
            await self._unless_lost(asyncio.gather(*confirms), CONFIRM_TIMEOUT)

    def _confirmed(self, frame: Any) -> None:
        tag, many = frame.method.delivery_tag, frame.method.multiple
        for key in [key for key in self._unconfirmed if key <= tag] if many else [tag]:
            future = self._unconfirmed.pop(key)
            if future.done():
                continue
            if isinstance(frame.method, Basic.Ack):
                future.set_result(None)
            else:
                future.set_exception(BrokerUnavailable("the broker refused a message"))

    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[Message]:
        """What arrives in the queue, at most `prefetch` unacknowledged at a time."""
        arrived: asyncio.Queue[Message] = asyncio.Queue()
        await self._answer(lambda done: self._channel.basic_qos(prefetch_count=prefetch, callback=done))
        await self._answer(
            lambda done: self._channel.basic_consume(
                queue,
                lambda _channel, how, properties, body: arrived.put_nowait(Message(how.delivery_tag, properties, body)),
                callback=done,
            )
        )
        while True:
            yield await self._unless_lost(arrived.get())

    def acknowledge(self, message: Message) -> None:
        """The broker may forget the message."""
        self._check()
        self._channel.basic_ack(message.tag)

    async def alive_until(self, event: asyncio.Event) -> None:
        """Waits for the event; raises BrokerUnavailable when the connection goes first."""
        await self._unless_lost(event.wait())

    def _check(self) -> None:
        if self._lost.done():
            self._lost.result()

    async def _answer(self, ask: Callable[[Callable[[Any], None]], Any]) -> None:
        answered: asyncio.Future[None] = self._loop.create_future()
        self._check()

        def done(_frame: object) -> None:
            if not answered.done():
                answered.set_result(None)

        ask(done)
        await self._unless_lost(answered, CONFIRM_TIMEOUT)

    async def _unless_lost[T](self, what: Awaitable[T], timeout: float | None = None) -> T:
        task = asyncio.ensure_future(what)
        both: set[asyncio.Future[Any]] = {task, self._lost}
        try:
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self._check()
            raise BrokerUnavailable(f"no answer in {timeout} seconds")
        finally:
            task.cancel()


def retry_exchange(delay: int) -> str:
    """Where a message waits `delay` seconds before its next attempt."""
    return f"delivery.retry.{delay}s"


class Broker:
    """Opens connections to one broker, as one user."""

    def __init__(self, url: str, name: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.client_properties = {"connection_name": name}
        self._parameters.heartbeat = 30
        self._parameters.blocked_connection_timeout = 30
        self._parameters.socket_timeout = 5

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Channel]:
        """A connection with one channel, in confirm mode, the topology declared. Raises BrokerUnavailable."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[PikaChannel] = loop.create_future()
        lost: asyncio.Future[None] = loop.create_future()
        lost.add_done_callback(lambda future: future.exception())
        closed = asyncio.Event()

        def fail(_who: object, error: BaseException | str) -> None:
            for future in (opened, lost):
                if not future.done():
                    future.set_exception(BrokerUnavailable(str(error) or type(error).__name__))

        def on_connection(connection: AsyncioConnection) -> None:
            if opened.cancelled():
                connection.close()
            else:
                connection.channel(on_open_callback=on_channel)

        def on_channel(channel: PikaChannel) -> None:
            channel.add_on_close_callback(fail)
            if not opened.done():
                opened.set_result(channel)

        def on_closed(connection: AsyncioConnection, error: BaseException) -> None:
            fail(connection, error)
            closed.set()

        connection = AsyncioConnection(
            self._parameters,
            on_open_callback=on_connection,
            on_open_error_callback=on_closed,
            on_close_callback=on_closed,
            custom_ioloop=loop,
        )
        try:
            async with asyncio.timeout(10):
                channel = Channel(await opened, lost)
                await channel.confirms()
                await channel.declare()
            yield channel
        except (AMQPError, TimeoutError) as error:
            raise BrokerUnavailable(str(error) or type(error).__name__) from error
        finally:
            if connection.is_open:
                connection.close()
            # Not `lost`: closing closes the channel first, and the socket is still open then.
            with suppress(TimeoutError):
                await asyncio.wait_for(closed.wait(), timeout=2)

    async def keep(self, work: Callable[[Channel], Awaitable[None]]) -> None:
        """Runs `work` on a channel, on a new one whenever it is lost, with backoff, until cancelled."""
        failures = 0
        while True:
            try:
                async with self.channel() as channel:
                    failures = 0
                    await work(channel)
            except BrokerUnavailable as error:
                pause = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
                failures += 1
                log.warning("the broker is away, trying again in %s s: %s", pause, error)
                await asyncio.sleep(pause)
