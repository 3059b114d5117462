"""AMQP channel in publisher confirm mode."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Set
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any, NamedTuple

from opentelemetry.trace import SpanKind
from pika.channel import Channel as PikaChannel
from pika.spec import BasicProperties

from services.runtime.messaging import metrics, topology
from services.runtime.messaging.acknowledgements import Acknowledgements
from services.runtime.messaging.events import EXCHANGE, Envelope
from services.runtime.messaging.publishing.event_frames import EventFrames
from services.runtime.messaging.publishing.publisher_confirms import ConfirmBatch, PublisherConfirms, PublishNacked
from services.runtime.telemetry import tracing
from services.runtime.telemetry.histograms import CLOCK

CONFIRM_TIMEOUT_S = 10.0
"""Seconds without a reply, or without any publisher confirm, after which a pending operation fails."""


UNUSED_QUEUE_TTL_MS = 60_000
"""Milliseconds without a consumer after which an exclusive queue is deleted, and its messages with it."""


class BrokerUnavailable(Exception):
    """The connection is lost, or the broker sent no confirm. Unconfirmed messages may or may not have been stored."""


class _BrokerTimeout(BrokerUnavailable):
    """The broker did not respond within the timeout."""


class MessageUnroutable(BrokerUnavailable):
    """A published message reached no queue. The service that owns a queue declares it again."""


class Message(NamedTuple):
    """A received message; it is acknowledged by its delivery tag."""

    delivery_tag: int
    properties: BasicProperties
    body: bytes


class Channel:
    """A channel in confirm mode. After the connection is lost, all methods raise BrokerUnavailable."""

    def __init__(
        self,
        channel: PikaChannel,
        connection_lost: asyncio.Future[None],
        open_channel: Callable[[], Awaitable["Channel"]],
    ) -> None:
        self._channel = channel
        self._open_channel = open_channel
        self._connection_lost = connection_lost
        self._event_frames = EventFrames(channel.channel_number, channel.connection.params.frame_max)
        self._confirms = PublisherConfirms()
        self._acknowledgements = Acknowledgements(self._send_acknowledgement)
        self._loop = asyncio.get_running_loop()

    async def open_sibling(self) -> "Channel":
        """Open another channel on the same connection, for operations after which the broker may close it."""
        self._raise_if_closed()
        return await self._race_with_connection_loss(self._open_channel(), CONFIRM_TIMEOUT_S)

    async def enable_confirms(self) -> None:
        """Enable confirm mode; mandatory messages that reach no queue are returned before their confirm."""
        self._channel.add_on_return_callback(
            lambda _channel, _method, properties, _body: self._confirms.on_return(properties.message_id)
        )
        await self._await_reply(
            lambda on_reply: self._channel.confirm_delivery(self._confirms.on_confirm, callback=on_reply)
        )

    async def declare_queue(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Declare a durable queue. Raises QueueArgumentMismatch if it exists with other arguments."""
        await self._await_reply(
            lambda on_reply: self._channel.queue_declare(name, durable=True, arguments=arguments, callback=on_reply)
        )

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Bind a queue to an exchange by routing key."""
        await self._await_reply(
            lambda on_reply: self._channel.queue_bind(queue, exchange, routing_key, callback=on_reply)
        )

    async def count_messages(self, queue: str) -> int:
        """Return the number of ready messages in an existing queue; unacknowledged messages are not included."""
        counts: list[int] = []

        def declare(on_reply: Callable[[Any], None]) -> None:
            def on_declared(frame: Any) -> None:
                counts.append(frame.method.message_count)
                on_reply(frame)

            self._channel.queue_declare(queue, passive=True, callback=on_declared)

        await self._await_reply(declare)
        return counts[0]

    async def delete_queue(self, name: str) -> None:
        """Delete a queue and its messages, if the queue exists."""
        await self._await_reply(lambda on_reply: self._channel.queue_delete(name, callback=on_reply))

    async def declare_exclusive_queue(self) -> str:
        """Declare a queue that is deleted with its consumer or the connection, and return its name.

        If the channel is lost before the queue has a consumer, it expires.
        """
        options = {"exclusive": True, "auto_delete": True, "arguments": {"x-expires": UNUSED_QUEUE_TTL_MS}}
        frame = await self._await_reply(lambda on_reply: self._channel.queue_declare("", **options, callback=on_reply))
        return str(frame.method.queue)

    async def bind_priority_subject(self, priority_queue: str, subject: str) -> None:
        """Start routing copies of events with this subject to the priority queue."""
        exchange = topology.get_priority_exchange(priority_queue)
        arguments = {"x-match": "all", topology.SUBJECT_HEADER: subject}
        await self._await_reply(
            lambda on_reply: self._channel.queue_bind(priority_queue, exchange, arguments=arguments, callback=on_reply)
        )

    async def unbind_priority_subject(self, priority_queue: str, subject: str) -> None:
        """Stop routing copies of events with this subject to the priority queue."""
        exchange = topology.get_priority_exchange(priority_queue)
        arguments = {"x-match": "all", topology.SUBJECT_HEADER: subject}
        await self._await_reply(
            lambda on_reply: self._channel.queue_unbind(
                priority_queue, exchange, arguments=arguments, callback=on_reply
            )
        )

    def publish(self, envelopes: Iterable[Envelope]) -> Awaitable[Set[str]]:
        """Publish events; the returned awaitable completes when the broker has confirmed each of them.

        Its result is the ids of the events that reached no queue, although the contract defines queues for their type.
        """
        self._raise_unless_open()
        started_at = CLOCK()
        with ExitStack() as spans:
            event_ids, frames = [], []
            for envelope in envelopes:
                event_ids.append(envelope.id)
                frames.append(self._encode_event(envelope, spans))
            if frames:
                self._channel.connection.write(b"".join(frames))
                spans.push(lambda kind, *_: metrics.record_publish(kind, CLOCK() - started_at))
            return self._await_confirms(self._confirms.register(event_ids), spans.pop_all())

    def _encode_event(self, envelope: Envelope, spans: ExitStack) -> bytes:
        """Encode an event with the context of its producer span, which ends when `spans` is closed.

        An unsampled trace has no spans, and its context is passed on unchanged.
        """
        headers = envelope.to_headers()
        if not tracing.is_unsampled(envelope.trace_context):
            headers |= spans.enter_context(_start_producer_span(envelope))
        return self._event_frames.encode(envelope, headers)

    async def republish(self, exchange: str, routing_key: str, message: Message, headers: dict[str, Any]) -> None:
        """Publish a received message again with additional headers, and wait for the confirm.

        Raises MessageUnroutable if it reached no queue.
        """
        properties = message.properties
        properties.headers = strip_broker_headers(properties.headers) | headers
        self._raise_unless_open()
        self._channel.basic_publish(exchange, routing_key, message.body, properties, mandatory=True)
        batch = self._confirms.register([properties.message_id])
        if await self._await_confirms(batch, ExitStack()):
            raise MessageUnroutable(f"message published to {exchange or routing_key} reached no queue")

    async def _await_confirms(self, batch: ConfirmBatch, spans: ExitStack) -> Set[str]:
        with spans:
            while True:
                confirm_count = self._confirms.confirm_count
                try:
                    await self._race_with_connection_loss(batch.wait(), CONFIRM_TIMEOUT_S)
                    return batch.returned_ids
                except PublishNacked as error:
                    raise BrokerUnavailable(str(error)) from error
                except _BrokerTimeout:
                    # A broker that still confirms messages is slow. Failing here would republish the whole batch and
                    # increase its load.
                    if self._confirms.confirm_count == confirm_count:
                        raise

    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[Message]:
        """Yield messages of the queue, with at most `prefetch` unacknowledged messages at a time."""
        messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._connection_lost.add_done_callback(lambda _: messages.put_nowait(None))

        def on_message(_channel: object, deliver: Any, properties: BasicProperties, body: bytes) -> None:
            self._acknowledgements.register(deliver.delivery_tag)
            messages.put_nowait(Message(deliver.delivery_tag, properties, body))

        await self._await_reply(lambda on_reply: self._channel.basic_qos(prefetch_count=prefetch, callback=on_reply))
        await self._await_reply(lambda on_reply: self._channel.basic_consume(queue, on_message, callback=on_reply))
        while True:
            message = await messages.get()
            self._raise_if_closed()
            if message is not None:
                yield message

    def close(self) -> None:
        """Close the channel; the connection stays open."""
        self._channel.close()

    async def close_and_wait(self, timeout_s: float) -> None:
        """Close the channel and wait for the broker, which delivers unacknowledged messages again."""
        if not self._channel.is_open:
            return
        closed = asyncio.Event()
        self._channel.add_on_close_callback(lambda *_: closed.set())
        self._channel.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), timeout_s)

    def acknowledge(self, message: Message) -> None:
        """Acknowledge the message, together with others; the broker deletes it from the queue."""
        self._raise_if_closed()
        self._acknowledgements.add(message.delivery_tag)

    def _send_acknowledgement(self, delivery_tag: int, multiple: bool) -> None:
        if not self._connection_lost.done():
            self._channel.basic_ack(delivery_tag, multiple)

    async def wait_while_connected(self, event: asyncio.Event) -> None:
        """Wait for the event. Raises BrokerUnavailable if the connection is lost first."""
        await self._race_with_connection_loss(event.wait())

    def _raise_if_closed(self) -> None:
        if self._connection_lost.done():
            self._connection_lost.result()

    def _raise_unless_open(self) -> None:
        """Raise BrokerUnavailable also while the channel is being closed, in which pika accepts no message."""
        self._raise_if_closed()
        if not self._channel.is_open:
            raise BrokerUnavailable("channel closed")

    async def _await_reply(self, send: Callable[[Callable[[Any], None]], Any]) -> Any:
        """Call `send` with a callback, and return the frame that the callback receives."""
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._raise_if_closed()

        def on_reply(frame: object) -> None:
            if not reply.done():
                reply.set_result(frame)

        send(on_reply)
        return await self._race_with_connection_loss(reply, CONFIRM_TIMEOUT_S)

    async def _race_with_connection_loss[T](self, awaitable: Awaitable[T], timeout: float | None = None) -> T:
        task = asyncio.ensure_future(awaitable)
        futures: set[asyncio.Future[Any]] = {task, self._connection_lost}
        try:
            await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self._raise_if_closed()
            raise _BrokerTimeout(f"no reply within {timeout} seconds")
        finally:
            task.cancel()


def _start_producer_span(envelope: Envelope) -> AbstractContextManager[Mapping[str, str]]:
    attributes = {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "send",
        "messaging.operation.name": "publish",
        "messaging.destination.name": EXCHANGE,
        "messaging.rabbitmq.destination.routing_key": envelope.type,
        "messaging.message.id": envelope.id,
        **envelope.get_span_attributes(),
    }
    name = f"publish {envelope.type}"
    return tracing.start_detached_span(name, SpanKind.PRODUCER, envelope.trace_context, attributes)


def strip_broker_headers(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the headers of a message without those that brokers add.

    Given an `x-death` header, the broker would treat dead-lettering to the same queue again as a cycle and drop the
    message.
    """
    return {name: value for name, value in (headers or {}).items() if not name.startswith("x-")}
