"""OpenTelemetry metrics of every service. Labels are names from the contracts, never values from clients."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from generated import mesh
from services.runtime.telemetry.histograms import BUCKET_BOUNDS_S, Attributes, DurationHistogram
from services.runtime.telemetry.resource import build_resource

METER = metrics.get_meter(mesh.NAME)

OTHER = "other"
"""Label value for names that the contracts do not define."""

_hot_path_histograms: list[DurationHistogram[Any]] = []


def create_duration_histogram[Outcome](
    name: str,
    description: str,
    describe_outcome: Callable[[Outcome], Attributes],
    bounds: tuple[float, ...] = BUCKET_BOUNDS_S,
) -> DurationHistogram[Outcome]:
    """Create a histogram outside the OpenTelemetry SDK, for measurements of every request. It is exported like others.

    `describe_outcome` returns the attributes of an outcome.
    """
    histogram = DurationHistogram(name, description, describe_outcome, bounds)
    _hot_path_histograms.append(histogram)
    return histogram


class Counter:
    """Counter outside the OpenTelemetry SDK, whose counters take 7 to 15 µs per addition. The SDK reads it on a scrape.

    Only the thread of the event loop adds. A scrape reads in another thread.
    """

    def __init__(self, name: str, description: str, unit: str = "") -> None:
        self.name = name
        self._values: dict[frozenset[tuple[str, str | int]], float] = {}
        METER.create_observable_counter(name, [self._observe], unit, description)

    def add(self, amount: float, attributes: Attributes) -> None:
        """Add an amount to the series with these attributes."""
        key = frozenset(attributes.items())
        self._values[key] = self._values.get(key, 0) + amount

    def initialise_to_zero(self, attribute_sets: Iterable[Attributes]) -> None:
        """Create series with the value zero.

        Prometheus cannot compute the increase of a series whose first sample is not zero.
        """
        for attributes in attribute_sets:
            self.add(0, attributes)

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        for key, value in list(self._values.items()):  # a copy, since the first addition of a series may follow
            yield Observation(value, dict(key))


class ObservableGauge:
    """Gauge whose values are refreshed on each scrape; it has no values while the refresh fails."""

    def __init__(self, name: str, description: str, unit: str, *labels: str) -> None:
        self._labels = labels
        self._values: Mapping[tuple[str, ...], float] = {}
        METER.create_observable_gauge(name, [self._observe], unit, description)

    def set(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Replace all values, by label values."""
        self._values = values

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        for label_values, value in list(self._values.items()):
            yield Observation(value, dict(zip(self._labels, label_values, strict=True)))


class BoundedLabel:
    """Label with values that no contract lists: the first `max_values` values, and `other` for all later ones."""

    def __init__(self, max_values: int) -> None:
        self._max_values = max_values
        self._seen: set[str] = set()

    def normalise(self, value: str) -> str:
        """Return the value, or `other`."""
        if value not in self._seen and len(self._seen) >= self._max_values:
            return OTHER
        self._seen.add(value)
        return value


class _MetricReader(PrometheusMetricReader):
    """Reader that adds the histograms of `create_duration_histogram` to the metrics of the SDK."""

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        hot_path = ScopeMetrics(
            InstrumentationScope(mesh.NAME), [histogram.to_metric() for histogram in _hot_path_histograms], ""
        )
        first, *others = metrics_data.resource_metrics
        extended = ResourceMetrics(first.resource, [*first.scope_metrics, hot_path], first.schema_url)
        super()._receive_metrics(MetricsData([extended, *others]), timeout_millis, **kwargs)


class MetricsRegistry:
    """Metrics of this process in Prometheus' text format."""

    def __init__(self, service: str, environment: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.provider = MeterProvider(
            [_MetricReader(scope_info_enabled=False, registry=self._registry)],
            build_resource(service, environment),
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format, version 0.0.4."""
        return generate_latest(self._registry)


@cache
def setup_metrics(service: str, environment: str) -> MetricsRegistry:
    """Set the global meter provider, once per process. Measurements of SDK instruments before this call are lost."""
    registry = MetricsRegistry(service, environment)
    metrics.set_meter_provider(registry.provider)
    return registry
