"""Metrics of published and processed events, according to OpenTelemetry's semantic conventions for messaging."""

from collections.abc import Iterable
from functools import cache

from generated import mesh
from generated.events import EVENTS
from services.runtime.messaging.events import EXCHANGE
from services.runtime.telemetry.histograms import Attributes, OperationHistogram
from services.runtime.telemetry.metrics import OTHER, Counter, create_duration_histogram

CONSUMED = "consumed"
"""The only outcome of a message that is not an error."""

SENT_MESSAGES = Counter("messaging.client.sent.messages", "Events that the broker has confirmed, by type.", "{message}")
UNROUTABLE_MESSAGES = Counter(
    f"{mesh.NAME}.outbox.unroutable_events",
    "Events that did not reach each of their queues and are pending again, by type.",
    "{event}",
)
MISSING_QUEUES = Counter(f"{mesh.NAME}.queues.missing", "Missing queues that were declared again, by queue.", "{queue}")
CONSUMED_MESSAGES = Counter(
    "messaging.client.consumed.messages", "Messages received, by queue and event type.", "{message}"
)


def _describe_publish_error(error_type: str) -> Attributes:
    return {"error.type": error_type} if error_type else {}


def _describe_outcome(outcome: str) -> Attributes:
    return {"outcome": outcome, **({} if outcome == CONSUMED else {"error.type": outcome})}


OPERATION_DURATION = create_duration_histogram(
    "messaging.client.operation.duration",
    "Time until the broker has confirmed a batch of published events.",
    _describe_publish_error,
)
PROCESS_DURATION = create_duration_histogram(
    "messaging.process.duration",
    "Processing time of messages, by queue, event type and outcome (consumed, retried, waiting or dead).",
    _describe_outcome,
)

_PUBLISH: Attributes = {
    "messaging.system": "rabbitmq",
    "messaging.operation.name": "publish",
    "messaging.destination.name": EXCHANGE,
}
_publish_duration = OPERATION_DURATION.bind({**_PUBLISH, "messaging.operation.type": "send"})

_EVENT_TYPES = frozenset(event.type for event in EVENTS.values())


def normalise_event_type(event_type: object) -> str:
    """Return the event type if the contract defines it, else `other`."""
    return event_type if event_type in _EVENT_TYPES and isinstance(event_type, str) else OTHER


@cache
def _build_sent_attributes(event_type: str) -> Attributes:
    return {**_PUBLISH, "event": event_type}


@cache
def _build_received_attributes(operation: str, queue: str, event_type: str) -> Attributes:
    return {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": operation,
        "messaging.destination.name": queue,
        "queue": queue,
        "event": event_type,
    }


@cache
def _bind_process_duration(queue: str, event_type: str) -> OperationHistogram[str]:
    return PROCESS_DURATION.bind(_build_received_attributes("process", queue, event_type))


def record_publish(error: type[BaseException] | None, seconds: float) -> None:
    """Record the duration of publishing a batch."""
    _publish_duration.record("" if error is None else error.__name__, seconds)


def count_sent(event_type: str, count: int) -> None:
    """Count confirmed events of a type."""
    SENT_MESSAGES.add(count, _build_sent_attributes(normalise_event_type(event_type)))


def count_unroutable(event_type: str, count: int) -> None:
    """Count events of a type that did not reach each of their queues."""
    UNROUTABLE_MESSAGES.add(count, {"event": normalise_event_type(event_type)})


def count_missing_queue(queue: str) -> None:
    """Count a missing queue."""
    MISSING_QUEUES.add(1, {"queue": queue})


def record_processed(queue: str, event_type: object, outcome: str, seconds: float) -> None:
    """Count a message, and record the duration of processing it. `event_type` is the value of its header."""
    event = normalise_event_type(event_type)
    CONSUMED_MESSAGES.add(1, _build_received_attributes("consume", queue, event))
    _bind_process_duration(queue, event).record(outcome, seconds)


def initialise_published_events(service: str) -> None:
    """Initialise the counter of published events for the events that a service produces."""
    event_types = [event.type for event in EVENTS.values() if event.producer == service]
    SENT_MESSAGES.initialise_to_zero(_build_sent_attributes(event_type) for event_type in event_types)
    UNROUTABLE_MESSAGES.initialise_to_zero({"event": event_type} for event_type in event_types)


def initialise_missing_queues(queues: Iterable[str]) -> None:
    """Initialise the counter of missing queues for the queues of a service."""
    MISSING_QUEUES.initialise_to_zero({"queue": queue} for queue in queues)
