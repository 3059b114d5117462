"""Takes messages out of queues: decode, hand over, acknowledge once the work is committed; or retry, or dead-letter."""

import asyncio
import logging
from abc import ABC
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar

from opentelemetry.trace import SpanKind

from generated.problems import Reason
from services.runtime import metrics, tracing
from services.runtime.amqp import BrokerUnavailable, Channel, Message
from services.runtime.broker import Broker
from services.runtime.clock import now
from services.runtime.codec import DecodeError
from services.runtime.durations import CLOCK
from services.runtime.events import Delivery, EventType, MalformedEvent, delivery
from services.runtime.events import about as described
from services.runtime.refusal import Refusal
from services.runtime.topology import RETRY_DELAYS, dead, retry_exchange

log = logging.getLogger(__name__)

ATTEMPT = "delivery-attempt"
"""The header that counts; the broker's own x-death is no longer reliable for it."""

OUTAGES = "delivery-outages"
"""The header that counts attempts for which a store was away: no fault of the message's."""

DEAD_REASON = "delivery-dead-reason"
"""The header that says why a message is a dead letter."""

DEAD_AT = "delivery-dead-at"
"""The header that says since when, in RFC 3339."""

MAX_REASON = 300
"""Characters of a reason that are kept."""

OUTAGE_ATTEMPTS = 360
"""How often a message is tried while a store is away: for about twelve hours."""

TAKE_TIMEOUT = 60.0
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

    async def take(self, message: Message, attempt: int) -> None:
        """Hands one message to its method. Raises MalformedEvent, or what the method raises."""
        headers = message.properties.headers or {}
        about = delivery(self.QUEUE, headers, attempt)
        if about.type not in self.EVENTS:
            raise MalformedEvent(f"{self.QUEUE} takes no {about.type}")
        kind, method = self.EVENTS[about.type]
        handle: Callable[[Any, Delivery], Awaitable[None]] = getattr(self, method)
        attributes = {
            "messaging.system": "rabbitmq",
            "messaging.destination.name": self.QUEUE,
            "messaging.message.id": about.event_id,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.rabbitmq.destination.routing_key": about.type,
            **described(about.event_id, about.type, str(headers.get("cloudEvents:source", "")), about.subject),
        }
        with tracing.span(f"process {self.QUEUE}", SpanKind.CONSUMER, trace_of(headers), attributes, link=True):
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
                task = asyncio.create_task(_process(channel, consumer, message))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        finally:
            await asyncio.gather(*under_way)

    await broker.keep(work)


async def _process(channel: Channel, consumer: Consumer, message: Message) -> None:
    headers = message.properties.headers or {}
    began, kind = CLOCK(), headers.get("cloudEvents:type")
    with tracing.continued(trace_of(headers)):
        try:
            outcome = await _take(channel, consumer, message)
            channel.acknowledge(message)
        except BrokerUnavailable:
            log.warning("the connection went before a message of %s was acknowledged; it comes again", consumer.QUEUE)
            return
    labels = {"queue": consumer.QUEUE, "event": metrics.event_label(kind), "outcome": outcome}
    metrics.PROCESSED.record(CLOCK() - began, labels)


async def _take(channel: Channel, consumer: Consumer, message: Message) -> Outcome:
    headers = message.properties.headers or {}
    attempt, outages = counted(headers, ATTEMPT, 1), counted(headers, OUTAGES, 0)
    try:
        async with asyncio.timeout(TAKE_TIMEOUT):
            await consumer.take(message, attempt)
    except MalformedEvent as error:
        await _bury(channel, consumer.QUEUE, message, str(error))
        return Outcome.DEAD
    # The boundary of the process: whatever went wrong is logged, and the message tried again later.
    except Exception as error:
        if isinstance(error, Refusal) and error.reason is Reason.UPSTREAM_UNAVAILABLE:
            log.warning("a message of %s waits: %s", consumer.QUEUE, error)
            outages += 1
            tries, last, again = outages, OUTAGE_ATTEMPTS, Outcome.WAITING
        else:
            log.exception("attempt %d at a message of %s failed", attempt, consumer.QUEUE)
            attempt += 1
            tries, last, again = attempt - 1, len(RETRY_DELAYS), Outcome.RETRIED
        if tries > last:
            said = f"{type(error).__name__} after {tries} attempts: {error}"
            await _bury(channel, consumer.QUEUE, message, said[:MAX_REASON])
            return Outcome.DEAD
        exchange = retry_exchange(RETRY_DELAYS[min(tries, len(RETRY_DELAYS)) - 1])
        await channel.forward(exchange, consumer.QUEUE, message, {ATTEMPT: attempt, OUTAGES: outages})
        return again
    return Outcome.CONSUMED


def trace_of(headers: Mapping[str, Any]) -> dict[str, str]:
    """The producer's trace context."""
    return {name: str(headers[name]) for name in ("traceparent", "tracestate") if name in headers}


def counted(headers: Mapping[str, Any], name: str, otherwise: int) -> int:
    """A header that counts; whatever else somebody has put there does not."""
    value = headers.get(name)
    return value if isinstance(value, int) else otherwise


async def _bury(channel: Channel, queue: str, message: Message, reason: str) -> None:
    log.error("a message of %s is a dead letter: %s", queue, reason)
    await channel.forward("", dead(queue), message, {DEAD_REASON: reason, DEAD_AT: now().isoformat()})
