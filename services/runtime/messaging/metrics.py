"""Metrics of published and processed events."""

from generated.events import EVENTS
from services.runtime.telemetry.histograms import BUCKET_BOUNDS_S
from services.runtime.telemetry.metrics import METER, OTHER, initialise_to_zero

EVENTS_PUBLISHED = METER.create_counter(
    "delivery.events.published", unit="{event}", description="Events that the broker has confirmed, by type."
)
EVENT_PROCESS_DURATION = METER.create_histogram(
    "delivery.events.process.duration",
    unit="s",
    description="Processing time of messages, by queue, event type and outcome (consumed, retried, waiting or dead).",
    explicit_bucket_boundaries_advisory=list(BUCKET_BOUNDS_S),
)

_EVENT_TYPES = frozenset(event.type for event in EVENTS.values())


def normalise_event_type(event_type: object) -> str:
    """Return the event type if the contract defines it, else `other`."""
    return event_type if event_type in _EVENT_TYPES and isinstance(event_type, str) else OTHER


def initialise_published_events(service: str) -> None:
    """Initialise the counter of published events for the events that a service produces, before `setup_metrics`."""
    event_types = (event.type for event in EVENTS.values() if event.producer == service)
    initialise_to_zero(EVENTS_PUBLISHED, ({"event": event_type} for event_type in event_types))
