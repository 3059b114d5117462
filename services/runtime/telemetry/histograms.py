"""Duration histograms for the hot path, stored in plain lists and exported as OpenTelemetry metrics.

OpenTelemetry's histogram resolves attributes and locks for each measurement, which takes about 7 µs. A histogram that
is bound to its attributes in advance takes a tenth of that.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from opentelemetry.sdk.metrics.export import AggregationTemporality, Histogram, HistogramDataPoint, Metric

BUCKET_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of the buckets, as advised by OpenTelemetry's semantic conventions for HTTP."""

CLOCK = time.perf_counter


class Series:
    """Measurements with the same labels."""

    __slots__ = ("bucket_counts", "max_s", "min_s", "total_s")

    def __init__(self) -> None:
        self.bucket_counts = [0] * (len(BUCKET_BOUNDS_S) + 1)
        self.total_s = 0.0
        self.min_s = float("inf")
        self.max_s = 0.0

    def record(self, seconds: float) -> None:
        """Record a measurement."""
        self.bucket_counts[bisect_left(BUCKET_BOUNDS_S, seconds)] += 1
        self.total_s += seconds
        self.min_s = min(self.min_s, seconds)
        self.max_s = max(self.max_s, seconds)


class OperationHistogram:
    """Measurements of an operation, by outcome."""

    __slots__ = ("series_by_outcome",)

    def __init__(self) -> None:
        self.series_by_outcome: dict[str, Series] = {}

    def record(self, outcome: str, seconds: float) -> None:
        """Record a measurement."""
        series = self.series_by_outcome.get(outcome)
        if series is None:
            series = self.series_by_outcome[outcome] = Series()
        series.record(seconds)

    def start_timer(self, outcome: str) -> "Timer":
        """Return a context manager that measures its block; the block may change the timer's outcome."""
        return Timer(self, outcome)


class Timer:
    """Measurement in progress."""

    __slots__ = ("_histogram", "_started_at", "outcome")

    def __init__(self, histogram: OperationHistogram, outcome: str) -> None:
        self._histogram = histogram
        self.outcome = outcome

    def __enter__(self) -> Self:
        self._started_at = CLOCK()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._histogram.record(self.outcome, CLOCK() - self._started_at)


class DurationHistogram:
    """Histogram with two labels: an operation of the contracts, and an outcome."""

    def __init__(self, name: str, description: str, operation_label: str, outcome_label: str) -> None:
        self._name = name
        self._description = description
        self._labels = (operation_label, outcome_label)
        self._by_operation: dict[str, OperationHistogram] = {}
        self._start_time_ns = time.time_ns()

    def for_operation(self, operation: str) -> OperationHistogram:
        """Return the histogram of an operation."""
        histogram = self._by_operation.get(operation)
        if histogram is None:
            histogram = self._by_operation[operation] = OperationHistogram()
        return histogram

    def to_metric(self) -> Metric:
        """Return all measurements as an OpenTelemetry metric."""
        points = list(self._iter_points(time.time_ns()))
        return Metric(self._name, self._description, "s", Histogram(points, AggregationTemporality.CUMULATIVE))

    def _iter_points(self, now_ns: int) -> Iterator[HistogramDataPoint]:
        for operation, histogram in list(self._by_operation.items()):
            for outcome, series in list(histogram.series_by_outcome.items()):
                counts = list(series.bucket_counts)
                yield HistogramDataPoint(
                    attributes=dict(zip(self._labels, (operation, outcome), strict=True)),
                    start_time_unix_nano=self._start_time_ns,
                    time_unix_nano=now_ns,
                    count=sum(counts),
                    sum=series.total_s,
                    bucket_counts=counts,
                    explicit_bounds=BUCKET_BOUNDS_S,
                    min=series.min_s,
                    max=series.max_s,
                )
