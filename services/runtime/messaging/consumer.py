"""Takes messages out of queues: decode, hand over, acknowledge once the work is committed; or retry, or dead-letter."""

import asyncio
import logging
from abc import ABC
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar

from opentelemetry.trace import SpanKind

from generated.problems import Reason
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import BrokerUnavailable, Channel, Message
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.events import EventType, MalformedEvent, MessageMetadata, parse_metadata
from services.runtime.messaging.events import span_attributes as described
from services.runtime.messaging.topology import RETRY_DELAYS_S, dead_letter_queue, retry_exchange
from services.runtime.rpc.codec import DecodeError
from services.runtime.telemetry import metrics, tracing
from services.runtime.telemetry.histograms import CLOCK

log = logging.getLogger(__name__)

ATTEMPT_HEADER = "delivery-attempt"
"""The header that counts; the broker's own x-death is no longer reliable for it."""

UNAVAILABLE_ATTEMPTS_HEADER = "delivery-outages"
"""The header that counts attempts for which a store was away: no fault of the message's."""

DEAD_REASON_HEADER = "delivery-dead-reason"
"""The header that says why a message is a dead letter."""

DEAD_AT_HEADER = "delivery-dead-at"
"""The header that says since when, in RFC 3339."""

MAX_REASON_LENGTH = 300
"""Characters of a reason that are kept."""

MAX_UNAVAILABLE_ATTEMPTS = 360
"""How often a message is tried while a store is away: for about twelve hours."""

HANDLER_TIMEOUT_S = 60.0
"""Seconds that a message may take; one that hangs would keep its place from others for ever."""


class Outcome(StrEnum):
    """What became of a message; waiting is retried because a store was away."""

    CONSUMED = "consumed"
    RETRIED = "retried"
    WAITING = "waiting"
    DEAD = "dead"


class Consumer(ABC):
    """What one queue's generated consumer class adds its abstract methods to."""

    QUEUE: ClassVar[str]
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]]
    """By type: the event, and the name of the method that takes it."""
    PREFETCH: ClassVar[int] = 16
    """How many messages are worked on at once."""

    async def dispatch(self, message: Message, attempt: int) -> None:
        """Hands one message to its method. Raises MalformedEvent, or what the method raises."""
        headers = message.properties.headers or {}
        about = parse_metadata(self.QUEUE, headers, attempt)
        if about.type not in self.EVENTS:
            raise MalformedEvent(f"{self.QUEUE} takes no {about.type}")
        kind, method = self.EVENTS[about.type]
        handle: Callable[[Any, MessageMetadata], Awaitable[None]] = getattr(self, method)
        attributes = {
            "messaging.system": "rabbitmq",
            "messaging.destination.name": self.QUEUE,
            "messaging.message.id": about.event_id,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.rabbitmq.destination.routing_key": about.type,
            **described(about.event_id, about.type, str(headers.get("cloudEvents:source", "")), about.subject),
        }
        with tracing.start_span(
            f"process {self.QUEUE}", SpanKind.CONSUMER, extract_trace_context(headers), attributes, link=True
        ):
            try:
                event = kind.decode(message.body)
            except DecodeError as error:
                raise MalformedEvent(f"not a {kind.message.__name__}") from error
            await handle(event, about)


async def consume(broker: Broker, consumer: Consumer) -> None:
    """Serves one queue until cancelled; what is being worked on then is finished first."""

    async def work(channel: Channel) -> None:
        under_way: set[asyncio.Task[None]] = set()
        try:
            async for message in channel.consume(consumer.QUEUE, consumer.PREFETCH):
                task = asyncio.create_task(_process_message(channel, consumer, message))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        finally:
            await asyncio.gather(*under_way)

    await broker.run_with_reconnect(work)


async def _process_message(channel: Channel, consumer: Consumer, message: Message) -> None:
    headers = message.properties.headers or {}
    began, kind = CLOCK(), headers.get("cloudEvents:type")
    with tracing.attach_context(extract_trace_context(headers)):
        try:
            outcome = await _handle_with_retry(channel, consumer, message)
            channel.acknowledge(message)
        except BrokerUnavailable:
            log.warning("the connection went before a message of %s was acknowledged; it comes again", consumer.QUEUE)
            return
    labels = {"queue": consumer.QUEUE, "event": metrics.normalise_event_type(kind), "outcome": outcome}
    metrics.EVENT_PROCESS_DURATION.record(CLOCK() - began, labels)


async def _handle_with_retry(channel: Channel, consumer: Consumer, message: Message) -> Outcome:
    headers = message.properties.headers or {}
    attempt, outages = (
        parse_int_header(headers, ATTEMPT_HEADER, 1),
        parse_int_header(headers, UNAVAILABLE_ATTEMPTS_HEADER, 0),
    )
    try:
        async with asyncio.timeout(HANDLER_TIMEOUT_S):
            await consumer.dispatch(message, attempt)
    except MalformedEvent as error:
        await _dead_letter(channel, consumer.QUEUE, message, str(error))
        return Outcome.DEAD
    # The boundary of the process: whatever went wrong is logged, and the message tried again later.
    except Exception as error:
        if isinstance(error, ApiError) and error.reason is Reason.UPSTREAM_UNAVAILABLE:
            log.warning("a message of %s waits: %s", consumer.QUEUE, error)
            outages += 1
            tries, last, again = outages, MAX_UNAVAILABLE_ATTEMPTS, Outcome.WAITING
        else:
            log.exception("attempt %d at a message of %s failed", attempt, consumer.QUEUE)
            attempt += 1
            tries, last, again = attempt - 1, len(RETRY_DELAYS_S), Outcome.RETRIED
        if tries > last:
            said = f"{type(error).__name__} after {tries} attempts: {error}"
            await _dead_letter(channel, consumer.QUEUE, message, said[:MAX_REASON_LENGTH])
            return Outcome.DEAD
        exchange = retry_exchange(RETRY_DELAYS_S[min(tries, len(RETRY_DELAYS_S)) - 1])
        await channel.republish(
            exchange, consumer.QUEUE, message, {ATTEMPT_HEADER: attempt, UNAVAILABLE_ATTEMPTS_HEADER: outages}
        )
        return again
    return Outcome.CONSUMED


def extract_trace_context(headers: Mapping[str, Any]) -> dict[str, str]:
    """The producer's trace context."""
    return {name: str(headers[name]) for name in ("traceparent", "tracestate") if name in headers}


def parse_int_header(headers: Mapping[str, Any], name: str, default: int) -> int:
    """A header that counts; whatever else somebody has put there does not."""
    value = headers.get(name)
    return value if isinstance(value, int) else default


async def _dead_letter(channel: Channel, queue: str, message: Message, reason: str) -> None:
    log.error("a message of %s is a dead letter: %s", queue, reason)
    await channel.republish(
        "", dead_letter_queue(queue), message, {DEAD_REASON_HEADER: reason, DEAD_AT_HEADER: now().isoformat()}
    )
