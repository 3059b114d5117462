"""Event types of the contract, and their envelopes: CloudEvents in AMQP headers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, cast

import betterproto2

from generated import mesh
from services.runtime.rpc.codec import get_codec

type MessageClass[E] = type[E]

EXCHANGE = f"{mesh.NAME}.events"
"""Topic exchange of all events, the destination of published events in telemetry; the routing key is the event type."""


def get_event_exchange(service: str) -> str:
    """Return the topic exchange to which a service publishes its events."""
    return f"{service}.events"


@dataclass(frozen=True)
class EventType[E: betterproto2.Message]:
    """An event type of the contract. `subject` returns the CloudEvents subject of a payload.

    `priority_queue` receives copies of events whose subject is bound to it; the empty string stands for no queue.
    """

    type: str
    message: MessageClass[E]
    producer: str
    queues: tuple[str, ...]
    subject: Callable[[E], str]
    priority_queue: str = ""

    @property
    def all_queues(self) -> tuple[str, ...]:
        """All queues of this event type, including the priority queue."""
        return (*self.queues, self.priority_queue) if self.priority_queue else self.queues

    @property
    def exchange(self) -> str:
        """Return the exchange of the producer, to which queues are bound."""
        return get_event_exchange(self.producer)

    def encode(self, event: E) -> bytes:
        """Encode the payload as protobuf."""
        return get_codec().encode(event)

    def decode(self, data: bytes) -> E:
        """Decode the payload from protobuf. Raises DecodeError."""
        return get_codec().decode(self.message, data)


def build_span_attributes(event_id: str, event_type: str, source: str, subject: str) -> dict[str, str]:
    """Return the event's attributes by OpenTelemetry's semantic conventions for CloudEvents."""
    return {
        "cloudevents.event_id": event_id,
        "cloudevents.event_type": event_type,
        "cloudevents.event_source": source,
        "cloudevents.event_subject": subject,
    }


class Envelope(NamedTuple):
    """An event to publish. `trace_context` is W3C trace context."""

    id: str
    source: str
    type: str
    subject: str
    occurred_at: datetime
    trace_context: Mapping[str, str]
    payload: bytes

    @property
    def exchange(self) -> str:
        """Return the exchange of the producing service."""
        return get_event_exchange(self.source.removeprefix("/"))

    def get_span_attributes(self) -> dict[str, str]:
        """Return the event's span attributes."""
        return build_span_attributes(self.id, self.type, self.source, self.subject)

    def to_headers(self) -> dict[str, str]:
        """Return the CloudEvents attributes by their AMQP binding, and the trace context."""
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
    """Metadata of a received event. `attempt` starts at 1."""

    queue: str
    event_id: str
    type: str
    subject: str
    occurred_at: datetime
    attempt: int
    headers: Mapping[str, Any] = field(repr=False, default_factory=dict)


class MalformedEvent(Exception):
    """A message that cannot be decoded; it is dead-lettered without a retry."""


def parse_metadata(queue: str, headers: Mapping[str, Any], attempt: int) -> MessageMetadata:
    """Parse the CloudEvents attributes in the headers.

    Raises MalformedEvent if an attribute is missing or the time is invalid.
    """
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
