"""The words of the broker: event types as the contract states them, and envelopes by CloudEvents in AMQP headers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, cast

import betterproto2

from services.runtime.rpc.codec import get_codec

type MessageClass[E] = type[E]

EXCHANGE = "delivery.events"
"""The topic exchange every event goes through; the routing key is the event's type."""


@dataclass(frozen=True)
class EventType[E: betterproto2.Message]:
    """One event of the contract. `subject` reads the CloudEvents subject out of a payload.

    `express` is the queue for copies of those whose subject is singled out, if there is one.
    """

    type: str
    message: MessageClass[E]
    producer: str
    queues: tuple[str, ...]
    subject: Callable[[E], str]
    priority_queue: str = ""

    @property
    def all_queues(self) -> tuple[str, ...]:
        """Every queue that somebody takes it from."""
        return (*self.queues, self.priority_queue) if self.priority_queue else self.queues

    def encode(self, event: E) -> bytes:
        """Payload to protobuf bytes."""
        return get_codec().encode(event)

    def decode(self, data: bytes) -> E:
        """Protobuf bytes to payload; raises codec.DecodeError."""
        return get_codec().decode(self.message, data)


def span_attributes(event_id: str, event_type: str, source: str, subject: str) -> dict[str, str]:
    """The event's attributes by OpenTelemetry's conventions for CloudEvents."""
    return {
        "cloudevents.event_id": event_id,
        "cloudevents.event_type": event_type,
        "cloudevents.event_source": source,
        "cloudevents.event_subject": subject,
    }


class Envelope(NamedTuple):
    """An event on its way. `trace` is W3C trace context; `at` is when it happened."""

    id: str
    source: str
    type: str
    subject: str
    occurred_at: datetime
    trace_context: Mapping[str, str]
    payload: bytes

    def span_attributes(self) -> dict[str, str]:
        """What a span says of it."""
        return span_attributes(self.id, self.type, self.source, self.subject)

    def to_headers(self) -> dict[str, str]:
        """CloudEvents attributes by its AMQP binding, and the trace context."""
        return {
            "cloudEvents:specversion": "1.0",
            "cloudEvents:id": self.id,
            "cloudEvents:source": self.source,
            "cloudEvents:type": self.type,
            "cloudEvents:subject": self.subject,
            "cloudEvents:time": self.occurred_at.isoformat(),
            **self.trace_context,
        }


@dataclass(frozen=True, slots=True)
class MessageMetadata:
    """What a consumer may want to know beside the payload. `attempt` starts at 1."""

    queue: str
    event_id: str
    type: str
    subject: str
    occurred_at: datetime
    attempt: int
    headers: Mapping[str, Any] = field(repr=False, default_factory=dict)


class MalformedEvent(Exception):
    """A message that no attempt will make readable; it goes to the dead letters at once."""


def parse_metadata(queue: str, headers: Mapping[str, Any], attempt: int) -> MessageMetadata:
    """Reads the attributes. Raises MalformedEvent when one is missing or no time."""
    try:
        return MessageMetadata(
            queue=queue,
            event_id=cast(str, headers["cloudEvents:id"]),
            type=cast(str, headers["cloudEvents:type"]),
            subject=cast(str, headers.get("cloudEvents:subject", "")),
            occurred_at=datetime.fromisoformat(headers["cloudEvents:time"]),
            attempt=attempt,
            headers=headers,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedEvent(f"not a CloudEvent: {error}") from error
