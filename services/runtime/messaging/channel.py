"""One AMQP channel in confirm mode: what is declared, published and consumed through it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

import pika
from opentelemetry.trace import SpanKind
from pika.channel import Channel as PikaChannel
from pika.spec import BasicProperties

from services.runtime.messaging import topology
from services.runtime.messaging.events import EXCHANGE, Envelope
from services.runtime.messaging.publisher_confirms import ConfirmBatch, PublisherConfirms, PublishNacked
from services.runtime.telemetry import tracing

CONFIRM_TIMEOUT_S = 10.0
"""Seconds without any word of the broker until what waits for one counts as failed."""


class BrokerUnavailable(Exception):
    """The connection is gone, or the broker did not confirm; what was not confirmed may or may not have arrived."""


class _BrokerTimeout(BrokerUnavailable):
    """The broker has said nothing for as long as it may."""


class Message(NamedTuple):
    """What arrived, and the tag to acknowledge it by."""

    delivery_tag: int
    properties: BasicProperties
    body: bytes


class Channel:
    """A channel in confirm mode. Once the connection is gone, everything raises BrokerUnavailable."""

    def __init__(self, channel: PikaChannel, connection_lost: asyncio.Future[None]) -> None:
        self._channel = channel
        self._connection_lost = connection_lost
        self._confirms = PublisherConfirms()
        self._loop = asyncio.get_running_loop()

    async def enable_confirms(self) -> None:
        """Turns confirm mode on."""
        await self._await_reply(lambda done: self._channel.confirm_delivery(self._confirms.on_confirm, callback=done))

    async def declare_exchange(self, name: str, exchange_type: str) -> None:
        """Makes a durable exchange, if it is missing."""
        await self._await_reply(
            lambda done: self._channel.exchange_declare(name, exchange_type, durable=True, callback=done)
        )

    async def declare_queue(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Makes a durable quorum queue, if it is missing. Raises topology.Misfit when it was made otherwise."""
        await self._await_reply(
            lambda done: self._channel.queue_declare(
                name, durable=True, arguments={"x-queue-type": "quorum", **arguments}, callback=done
            )
        )

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Routes what has this key to the queue."""
        await self._await_reply(lambda done: self._channel.queue_bind(queue, exchange, routing_key, callback=done))

    async def count_messages(self, queue: str) -> int:
        """How many messages wait in a queue that is there; those that somebody works on are not among them."""
        counted: list[int] = []

        def ask(done: Callable[[Any], None]) -> None:
            def counts(frame: Any) -> None:
                counted.append(frame.method.message_count)
                done(frame)

            self._channel.queue_declare(queue, passive=True, callback=counts)

        await self._await_reply(ask)
        return counted[0]

    async def bind_exchange(self, destination: str, source: str, routing_key: str) -> None:
        """Routes copies of what has this key to another exchange."""
        await self._await_reply(
            lambda done: self._channel.exchange_bind(destination, source, routing_key, callback=done)
        )

    async def delete_queue(self, name: str) -> None:
        """Removes a queue, if it is there, with all that is in it."""
        await self._await_reply(lambda done: self._channel.queue_delete(name, callback=done))

    async def declare_exclusive_queue(self) -> str:
        """Makes a queue that lives as long as the connection; its name."""
        frame = await self._await_reply(
            lambda done: self._channel.queue_declare("", exclusive=True, auto_delete=True, callback=done)
        )
        return str(frame.method.queue)

    async def bind_priority_subject(self, priority_queue: str, subject: str) -> None:
        """From now on, copies of events about this subject go to the express queue."""
        about = {"x-match": "all", topology.SUBJECT_HEADER: subject}
        await self._await_reply(
            lambda done: self._channel.queue_bind(priority_queue, priority_queue, arguments=about, callback=done)
        )

    async def unbind_priority_subject(self, priority_queue: str, subject: str) -> None:
        """Takes `single_out` back."""
        about = {"x-match": "all", topology.SUBJECT_HEADER: subject}
        await self._await_reply(
            lambda done: self._channel.queue_unbind(priority_queue, priority_queue, arguments=about, callback=done)
        )

    async def publish(self, envelopes: Iterable[Envelope]) -> None:
        """Publishes events and waits until the broker has confirmed each of them."""
        await self.publish_nowait(envelopes)

    def publish_nowait(self, envelopes: Iterable[Envelope]) -> Awaitable[None]:
        """Publishes events; the broker has confirmed each of them when what this returns is over."""
        batch = ConfirmBatch()
        with ExitStack() as spans:
            for envelope in envelopes:
                self._publish_one(envelope, batch, spans)
            return self._await_confirms(batch, spans.pop_all())

    def _publish_one(self, envelope: Envelope, batch: ConfirmBatch, spans: ExitStack) -> None:
        """Sends one, below the span it was written in; the message carries on from its own, which ends with `spans`."""
        about = {
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "send",
            "messaging.operation.name": "publish",
            "messaging.destination.name": EXCHANGE,
            "messaging.rabbitmq.destination.routing_key": envelope.type,
            "messaging.message.id": envelope.id,
            **envelope.span_attributes(),
        }
        headers = envelope.to_headers() | spans.enter_context(
            tracing.start_detached_span(f"publish {envelope.type}", SpanKind.PRODUCER, envelope.trace_context, about)
        )
        properties = BasicProperties(
            content_type="application/protobuf",
            delivery_mode=pika.DeliveryMode.Persistent,
            message_id=envelope.id,
            type=envelope.type,
            timestamp=int(envelope.occurred_at.timestamp()),
            headers=headers,
        )
        self._basic_publish(EXCHANGE, envelope.type, envelope.payload, properties, batch)

    async def republish(self, exchange: str, routing_key: str, message: Message, headers: dict[str, Any]) -> None:
        """Publishes a message that arrived once more, with these headers on top of its own."""
        properties = message.properties
        properties.headers = strip_broker_headers(properties.headers) | headers
        batch = ConfirmBatch()
        self._basic_publish(exchange, routing_key, message.body, properties, batch)
        await self._await_confirms(batch, ExitStack())

    def _basic_publish(
        self, exchange: str, routing_key: str, body: bytes, properties: BasicProperties, batch: ConfirmBatch
    ) -> None:
        self._raise_if_closed()
        self._channel.basic_publish(exchange, routing_key, body, properties)
        self._confirms.register(batch)

    async def _await_confirms(self, batch: ConfirmBatch, spans: ExitStack) -> None:
        with spans:
            while True:
                before = self._confirms.confirm_count
                try:
                    return await self._race_with_connection_loss(batch.wait(), CONFIRM_TIMEOUT_S)
                except PublishNacked as error:
                    raise BrokerUnavailable(str(error)) from error
                except _BrokerTimeout:
                    # Sending all of it again would only add to what a slow broker has to do.
                    if self._confirms.confirm_count == before:
                        raise

    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[Message]:
        """What arrives in the queue, at most `prefetch` unacknowledged at a time."""
        arrived: asyncio.Queue[Message] = asyncio.Queue()
        await self._await_reply(lambda done: self._channel.basic_qos(prefetch_count=prefetch, callback=done))
        await self._await_reply(
            lambda done: self._channel.basic_consume(
                queue,
                lambda _channel, how, properties, body: arrived.put_nowait(Message(how.delivery_tag, properties, body)),
                callback=done,
            )
        )
        while True:
            yield await self._race_with_connection_loss(arrived.get())

    def close(self) -> None:
        """Gives the channel back; the connection stays."""
        self._channel.close()

    def acknowledge(self, message: Message) -> None:
        """The broker may forget the message."""
        self._raise_if_closed()
        self._channel.basic_ack(message.delivery_tag)

    async def wait_while_connected(self, event: asyncio.Event) -> None:
        """Waits for the event; raises BrokerUnavailable when the connection goes first."""
        await self._race_with_connection_loss(event.wait())

    def _raise_if_closed(self) -> None:
        if self._connection_lost.done():
            self._connection_lost.result()

    async def _await_reply(self, send: Callable[[Callable[[Any], None]], Any]) -> Any:
        answered: asyncio.Future[Any] = self._loop.create_future()
        self._raise_if_closed()

        def done(frame: object) -> None:
            if not answered.done():
                answered.set_result(frame)

        send(done)
        return await self._race_with_connection_loss(answered, CONFIRM_TIMEOUT_S)

    async def _race_with_connection_loss[T](self, awaitable: Awaitable[T], timeout: float | None = None) -> T:
        task = asyncio.ensure_future(awaitable)
        both: set[asyncio.Future[Any]] = {task, self._connection_lost}
        try:
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self._raise_if_closed()
            raise _BrokerTimeout(f"no answer in {timeout} seconds")
        finally:
            task.cancel()


def strip_broker_headers(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """A message's headers without those that brokers add.

    A broker that finds in them where the message has died takes its next way there for a circle, and drops it.
    """
    return {name: value for name, value in (headers or {}).items() if not name.startswith("x-")}
