"""What every service counts and measures, by OpenTelemetry. Labels are names of the contracts, not people's words."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Counter, Observation
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from generated.events import EVENTS
from services.runtime.telemetry.histograms import BUCKET_BOUNDS_S, DurationHistogram

METER = metrics.get_meter("delivery")

OTHER = "other"
"""Stands for every name that the contracts do not know."""

HTTP_SERVER_DURATION = DurationHistogram(
    "http.server.request.duration",
    "REST requests by operation: how long, and answered by which status.",
    "operation",
    "http.response.status_code",
)
RPC_SERVER_DURATION = DurationHistogram(
    "rpc.server.call.duration",
    "RPCs that this service answered: how long, and by which code.",
    "rpc.method",
    "rpc.response.status_code",
)
RPC_CLIENT_DURATION = DurationHistogram(
    "rpc.client.call.duration",
    "RPCs that this service made: how long, and answered by which code.",
    "rpc.method",
    "rpc.response.status_code",
)
HOT_PATH_HISTOGRAMS = (HTTP_SERVER_DURATION, RPC_SERVER_DURATION, RPC_CLIENT_DURATION)
"""What every request passes."""

EVENTS_PUBLISHED = METER.create_counter(
    "delivery.events.published", unit="{event}", description="Events that the broker has confirmed, by type."
)
EVENT_PROCESS_DURATION = METER.create_histogram(
    "delivery.events.process.duration",
    unit="s",
    description="Messages by queue and type: how long, and consumed, retried, waiting (a store was away) or dead.",
    explicit_bucket_boundaries_advisory=list(BUCKET_BOUNDS_S),
)


_zero_initialised: list[tuple[Counter, Mapping[str, str]]] = []


def initialise_to_zero(counter: Counter, label_sets: Iterable[Mapping[str, str]]) -> None:
    """Lets a counter begin at zero for these labels; from a series that begins at one, no increase can be told."""
    _zero_initialised.extend((counter, each) for each in label_sets)


class ObservableGauge:
    """A gauge whose values are looked up when somebody scrapes. While they cannot be, it has none."""

    def __init__(self, name: str, description: str, unit: str, *labels: str) -> None:
        self._labels = labels
        self._values: Mapping[tuple[str, ...], float] = {}
        METER.create_observable_gauge(name, [self._observe], unit, description)

    def set(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Replaces every value; each is named by its labels."""
        self._values = values

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        for names, value in self._values.items():
            yield Observation(value, dict(zip(self._labels, names, strict=True)))


class BoundedLabel:
    """Values of a label that no contract lists: the first so many, and `other` for all that come after."""

    def __init__(self, max_values: int) -> None:
        self._max_values = max_values
        self._seen: set[str] = set()

    def normalise(self, value: str) -> str:
        """The name, or `other`."""
        if value not in self._seen and len(self._seen) >= self._max_values:
            return OTHER
        self._seen.add(value)
        return value


def normalise_event_type(event_type: object) -> str:
    """The type of an event, if the contract has it."""
    return event_type if event_type in _EVENT_TYPES and isinstance(event_type, str) else OTHER


_EVENT_TYPES = frozenset(event.type for event in EVENTS.values())


class _MetricReader(PrometheusMetricReader):
    """Adds what is counted outside the SDK to what it has collected."""

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        ours = ScopeMetrics(
            InstrumentationScope("delivery"), [durations.to_metric() for durations in HOT_PATH_HISTOGRAMS], ""
        )
        first, *others = metrics_data.resource_metrics
        with_ours = ResourceMetrics(first.resource, [*first.scope_metrics, ours], first.schema_url)
        super()._receive_metrics(MetricsData([with_ours, *others]), timeout_millis, **kwargs)


class MetricsRegistry:
    """Everything that this process has counted, for a scraper."""

    def __init__(self, service: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.provider = MeterProvider(
            [_MetricReader(scope_info_enabled=False, registry=self._registry)],
            Resource.create({"service.name": service, "service.namespace": "delivery"}),
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )

    def render(self) -> bytes:
        """In Prometheus' text format, version 0.0.4."""
        return generate_latest(self._registry)


@cache
def setup_metrics(service: str) -> MetricsRegistry:
    """Starts counting, once a process; before, what instruments are told is lost."""
    made = MetricsRegistry(service)
    metrics.set_meter_provider(made.provider)
    for event in EVENTS.values():
        if event.producer == service:
            EVENTS_PUBLISHED.add(0, {"event": event.type})
    for counter, labels in _zero_initialised:
        counter.add(0, labels)
    return made
