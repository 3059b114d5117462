"""One AMQP channel in confirm mode: what is declared, published and consumed through it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

import pika
from opentelemetry.trace import SpanKind
from pika.channel import Channel as PikaChannel
from pika.spec import BasicProperties

from services.runtime import topology, tracing
from services.runtime.confirms import Batch, Confirms, Refused
from services.runtime.events import EXCHANGE, Envelope

CONFIRM_TIMEOUT = 10.0
"""Seconds without any word of the broker until what waits for one counts as failed."""


class BrokerUnavailable(Exception):
    """The connection is gone, or the broker did not confirm; what was not confirmed may or may not have arrived."""


class _Silent(BrokerUnavailable):
    """The broker has said nothing for as long as it may."""


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
        self._confirms = Confirms()
        self._loop = asyncio.get_running_loop()

    async def confirms(self) -> None:
        """Turns confirm mode on."""
        await self._answer(lambda done: self._channel.confirm_delivery(self._confirms.arrived, callback=done))

    async def declare_exchange(self, name: str, kind: str) -> None:
        """Makes a durable exchange, if it is missing."""
        await self._answer(lambda done: self._channel.exchange_declare(name, kind, durable=True, callback=done))

    async def declare_queue(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Makes a durable quorum queue, if it is missing. Raises topology.Misfit when it was made otherwise."""
        await self._answer(
            lambda done: self._channel.queue_declare(
                name, durable=True, arguments={"x-queue-type": "quorum", **arguments}, callback=done
            )
        )

    async def bind(self, queue: str, exchange: str, key: str) -> None:
        """Routes what has this key to the queue."""
        await self._answer(lambda done: self._channel.queue_bind(queue, exchange, key, callback=done))

    async def count(self, queue: str) -> int:
        """How many messages wait in a queue that is there; those that somebody works on are not among them."""
        counted: list[int] = []

        def ask(done: Callable[[Any], None]) -> None:
            def counts(frame: Any) -> None:
                counted.append(frame.method.message_count)
                done(frame)

            self._channel.queue_declare(queue, passive=True, callback=counts)

        await self._answer(ask)
        return counted[0]

    async def bind_exchange(self, to: str, exchange: str, key: str) -> None:
        """Routes copies of what has this key to another exchange."""
        await self._answer(lambda done: self._channel.exchange_bind(to, exchange, key, callback=done))

    async def delete_queue(self, name: str) -> None:
        """Removes a queue, if it is there, with all that is in it."""
        await self._answer(lambda done: self._channel.queue_delete(name, callback=done))

    async def declare_own_queue(self) -> str:
        """Makes a queue that lives as long as the connection; its name."""
        frame = await self._answer(
            lambda done: self._channel.queue_declare("", exclusive=True, auto_delete=True, callback=done)
        )
        return str(frame.method.queue)

    async def single_out(self, express: str, subject: str) -> None:
        """From now on, copies of events about this subject go to the express queue."""
        about = {"x-match": "all", topology.SUBJECT: subject}
        await self._answer(lambda done: self._channel.queue_bind(express, express, arguments=about, callback=done))

    async def leave_in(self, express: str, subject: str) -> None:
        """Takes `single_out` back."""
        about = {"x-match": "all", topology.SUBJECT: subject}
        await self._answer(lambda done: self._channel.queue_unbind(express, express, arguments=about, callback=done))

    async def publish_all(self, envelopes: Iterable[Envelope]) -> None:
        """Publishes events and waits until the broker has confirmed each of them."""
        await self.send_all(envelopes)

    def send_all(self, envelopes: Iterable[Envelope]) -> Awaitable[None]:
        """Publishes events; the broker has confirmed each of them when what this returns is over."""
        batch = Batch()
        with ExitStack() as spans:
            for envelope in envelopes:
                self._publish(envelope, batch, spans)
            return self._taken(batch, spans.pop_all())

    def _publish(self, envelope: Envelope, batch: Batch, spans: ExitStack) -> None:
        """Sends one, below the span it was written in; the message carries on from its own, which ends with `spans`."""
        about = {
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "send",
            "messaging.operation.name": "publish",
            "messaging.destination.name": EXCHANGE,
            "messaging.rabbitmq.destination.routing_key": envelope.type,
            "messaging.message.id": envelope.id,
            **envelope.about(),
        }
        headers = envelope.headers() | spans.enter_context(
            tracing.passing(f"publish {envelope.type}", SpanKind.PRODUCER, envelope.trace, about)
        )
        properties = BasicProperties(
            content_type="application/protobuf",
            delivery_mode=pika.DeliveryMode.Persistent,
            message_id=envelope.id,
            type=envelope.type,
            timestamp=int(envelope.at.timestamp()),
            headers=headers,
        )
        self._send(EXCHANGE, envelope.type, envelope.payload, properties, batch)

    async def forward(self, exchange: str, key: str, message: Message, headers: dict[str, Any]) -> None:
        """Publishes a message that arrived once more, with these headers on top of its own."""
        properties = message.properties
        properties.headers = own_headers(properties.headers) | headers
        batch = Batch()
        self._send(exchange, key, message.body, properties, batch)
        await self._taken(batch, ExitStack())

    def _send(self, exchange: str, key: str, body: bytes, properties: BasicProperties, batch: Batch) -> None:
        self._check()
        self._channel.basic_publish(exchange, key, body, properties)
        self._confirms.sent(batch)

    async def _taken(self, batch: Batch, spans: ExitStack) -> None:
        with spans:
            while True:
                before = self._confirms.answers
                try:
                    return await self._unless_lost(batch.taken(), CONFIRM_TIMEOUT)
                except Refused as error:
                    raise BrokerUnavailable(str(error)) from error
                except _Silent:
                    # Sending all of it again would only add to what a slow broker has to do.
                    if self._confirms.answers == before:
                        raise

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

    def close(self) -> None:
        """Gives the channel back; the connection stays."""
        self._channel.close()

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

    async def _answer(self, ask: Callable[[Callable[[Any], None]], Any]) -> Any:
        answered: asyncio.Future[Any] = self._loop.create_future()
        self._check()

        def done(frame: object) -> None:
            if not answered.done():
                answered.set_result(frame)

        ask(done)
        return await self._unless_lost(answered, CONFIRM_TIMEOUT)

    async def _unless_lost[T](self, what: Awaitable[T], timeout: float | None = None) -> T:
        task = asyncio.ensure_future(what)
        both: set[asyncio.Future[Any]] = {task, self._lost}
        try:
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self._check()
            raise _Silent(f"no answer in {timeout} seconds")
        finally:
            task.cancel()


def own_headers(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """A message's headers without those that brokers add.

    A broker that finds in them where the message has died takes its next way there for a circle, and drops it.
    """
    return {name: value for name, value in (headers or {}).items() if not name.startswith("x-")}
