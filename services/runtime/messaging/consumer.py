"""Queue consumers: decode and dispatch messages, then acknowledge, retry or dead-letter them."""

import asyncio
import logging
from abc import ABC
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any, ClassVar

from opentelemetry.trace import SpanKind

from generated.problems import Reason
from services.runtime.core import backoff
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.messaging import metrics
from services.runtime.messaging.channel import BrokerUnavailable, Channel, Message
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.events import (
    EventType,
    MalformedEvent,
    MessageMetadata,
    build_span_attributes,
    parse_metadata,
)
from services.runtime.messaging.topology import (
    RETRY_DELAYS_S,
    get_dead_letter_queue,
    get_queue_exchange,
    get_retry_exchange,
)
from services.runtime.rpc.codec import DecodeError
from services.runtime.telemetry import tracing
from services.runtime.telemetry.histograms import CLOCK

log = logging.getLogger(__name__)

ATTEMPT_HEADER = "delivery-attempt"
"""Header with the number of the attempt; the broker's x-death header is not a reliable counter."""

UNAVAILABLE_ATTEMPTS_HEADER = "delivery-outages"
"""Header with the number of attempts that failed because a dependency was unavailable."""

DEAD_REASON_HEADER = "delivery-dead-reason"
"""Header with the reason for which a message was dead-lettered."""

DEAD_AT_HEADER = "delivery-dead-at"
"""Header with the time at which a message was dead-lettered, in RFC 3339."""

MAX_REASON_LENGTH = 300
"""Maximum number of characters of a reason; longer ones are truncated."""

MAX_UNAVAILABLE_ATTEMPTS = 360
"""Maximum attempts at a message while a dependency is unavailable, which take about twelve hours."""

HANDLER_TIMEOUT_S = 60.0
"""Timeout of a message handler in seconds; a hanging handler would occupy its prefetch slot for ever."""

INITIAL_REPUBLISH_DELAY_S = 0.5
MAX_REPUBLISH_DELAY_S = 5.0
"""Seconds until a message is published again that the broker has not confirmed on an open channel."""


class Outcome(StrEnum):
    """Result of handling a message; WAITING is a retry because a dependency was unavailable."""

    CONSUMED = metrics.CONSUMED
    RETRIED = "retried"
    WAITING = "waiting"
    DEAD = "dead"


class Consumer(ABC):
    """Base of the generated consumer classes, one per queue, which add an abstract method per event."""

    QUEUE: ClassVar[str]
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]]
    """By event type: the event, and the name of its handler method."""
    PREFETCH: ClassVar[int] = 16
    """Maximum number of messages handled concurrently."""

    async def dispatch(self, message: Message, attempt: int) -> None:
        """Decode a message and call its handler, in the current trace context, which is that of its producer.

        Raises MalformedEvent, and any exception of the handler.
        """
        headers = message.properties.headers or {}
        metadata = parse_metadata(self.QUEUE, headers, attempt)
        if metadata.type not in self.EVENTS:
            raise MalformedEvent(f"{self.QUEUE} does not accept {metadata.type}")
        event_type, method = self.EVENTS[metadata.type]
        handle: Callable[[Any, MessageMetadata], Awaitable[None]] = getattr(self, method)
        source = str(headers.get("cloudEvents:source", ""))
        attributes = {
            "messaging.system": "rabbitmq",
            "messaging.destination.name": self.QUEUE,
            "messaging.message.id": metadata.event_id,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.rabbitmq.destination.routing_key": metadata.type,
            **build_span_attributes(metadata.event_id, metadata.type, source, metadata.subject),
        }
        with tracing.start_span(f"process {self.QUEUE}", SpanKind.CONSUMER, None, attributes, link=True):
            try:
                event = event_type.decode(message.body)
            except DecodeError as error:
                raise MalformedEvent(f"not a {event_type.message.__name__}") from error
            await handle(event, metadata)


async def consume(broker: Broker, consumer: Consumer) -> None:
    """Consume one queue until cancelled; messages in progress are completed first."""

    async def work(channel: Channel) -> None:
        processor = MessageProcessor(channel, consumer)
        tasks: set[asyncio.Task[None]] = set()
        try:
            async for message in channel.consume(consumer.QUEUE, consumer.PREFETCH):
                task = asyncio.create_task(processor.process(message))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        finally:
            processor.stop()
            await asyncio.gather(*tasks)

    await broker.run_with_reconnect(work)


class MessageProcessor:
    """Handles the messages of one channel, and acknowledges, retries or dead-letters them."""

    def __init__(self, channel: Channel, consumer: Consumer) -> None:
        self._channel = channel
        self._consumer = consumer
        self._queue = consumer.QUEUE
        self._is_stopping = asyncio.Event()

    def stop(self) -> None:
        """Publish no message again after a failure, since the channel is lost or the consumer is stopping."""
        self._is_stopping.set()

    async def process(self, message: Message) -> None:
        """Handle a message, then acknowledge it. It is delivered again if the channel closes before."""
        headers = message.properties.headers or {}
        started_at, event_type = CLOCK(), headers.get("cloudEvents:type")
        with tracing.attach_context(_extract_trace_context(headers)):
            try:
                outcome = await self._handle_with_retry(message)
                self._channel.acknowledge(message)
            except BrokerUnavailable as error:
                log.warning("message of %s not acknowledged: %s; it will be redelivered", self._queue, error)
                return
        metrics.record_processed(self._queue, event_type, outcome, CLOCK() - started_at)

    async def _handle_with_retry(self, message: Message) -> Outcome:
        headers = message.properties.headers or {}
        attempt = parse_int_header(headers, ATTEMPT_HEADER, 1)
        unavailable_attempts = parse_int_header(headers, UNAVAILABLE_ATTEMPTS_HEADER, 0)
        try:
            async with asyncio.timeout(HANDLER_TIMEOUT_S):
                await self._consumer.dispatch(message, attempt)
        except MalformedEvent as error:
            await self._move_to_dead_letter_queue(message, str(error))
            return Outcome.DEAD
        # Process boundary: any exception is logged, and the message is retried later.
        except Exception as error:
            if isinstance(error, ApiError) and error.reason is Reason.UPSTREAM_UNAVAILABLE:
                log.warning("dependency unavailable while handling a message of %s: %s; retrying", self._queue, error)
                unavailable_attempts += 1
                attempts, max_retries, outcome = unavailable_attempts, MAX_UNAVAILABLE_ATTEMPTS, Outcome.WAITING
            else:
                log.exception("handling a message of %s failed at attempt %d", self._queue, attempt)
                attempt += 1
                attempts, max_retries, outcome = attempt - 1, len(RETRY_DELAYS_S), Outcome.RETRIED
            if attempts > max_retries:
                reason = f"{type(error).__name__} after {attempts} attempts: {error}"
                await self._move_to_dead_letter_queue(message, reason[:MAX_REASON_LENGTH])
                return Outcome.DEAD
            await self._republish(
                get_retry_exchange(self._queue, RETRY_DELAYS_S[min(attempts, len(RETRY_DELAYS_S)) - 1]),
                self._queue,
                message,
                {ATTEMPT_HEADER: attempt, UNAVAILABLE_ATTEMPTS_HEADER: unavailable_attempts},
            )
            return outcome
        return Outcome.CONSUMED

    async def _move_to_dead_letter_queue(self, message: Message, reason: str) -> None:
        log.error("message of %s dead-lettered: %s", self._queue, reason)
        await self._republish(
            get_queue_exchange(self._queue),
            get_dead_letter_queue(self._queue),
            message,
            {DEAD_REASON_HEADER: reason, DEAD_AT_HEADER: now().isoformat()},
        )

    async def _republish(self, exchange: str, routing_key: str, message: Message, headers: dict[str, Any]) -> None:
        """Publish a received message again until the broker confirms it. Raises BrokerUnavailable after `stop`.

        The channel stays open if a queue is missing or its leader is unavailable. Without a further attempt, the
        message would occupy its prefetch slot until the channel closes. Closing the channel instead would increase the
        limited number of attempts of all its messages. A message whose confirm was late is a duplicate.
        """
        failures = 0
        while True:
            try:
                await self._channel.republish(exchange, routing_key, message, headers)
            except BrokerUnavailable as error:
                failures += 1
                if failures == 1:
                    log.warning("message of %s not published to %s: %s; retrying", self._queue, exchange, error)
                delay_s = backoff.compute_exponential_delay_s(
                    failures, INITIAL_REPUBLISH_DELAY_S, MAX_REPUBLISH_DELAY_S
                )
                with suppress(TimeoutError):
                    async with asyncio.timeout(backoff.apply_jitter(delay_s)):
                        await self._is_stopping.wait()
                if self._is_stopping.is_set():
                    raise
            else:
                return


def _extract_trace_context(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return the producer's trace context."""
    return {name: str(headers[name]) for name in ("traceparent", "tracestate") if name in headers}


def parse_int_header(headers: Mapping[str, Any], name: str, default: int) -> int:
    """Return an integer header, or the default if it is missing or has another type."""
    value = headers.get(name)
    return value if isinstance(value, int) else default
