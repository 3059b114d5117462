"""How long what every request passes takes: counted in plain lists, and told as OpenTelemetry's histograms on a scrape.

OpenTelemetry's own histogram looks its attributes up and locks for each measurement, about 7 µs; one that is bound to
its attributes before the first request takes a tenth of that.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from opentelemetry.sdk.metrics.export import AggregationTemporality, Histogram, HistogramDataPoint, Metric

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of the buckets in seconds, as the semantic conventions advise for HTTP."""

CLOCK = time.perf_counter


class Series:
    """The measurements that share every label."""

    __slots__ = ("counts", "least", "most", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.least = float("inf")
        self.most = 0.0

    def record(self, seconds: float) -> None:
        """Takes one measurement."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)


class Bound:
    """The measurements of one operation, by how they ended."""

    __slots__ = ("by_outcome",)

    def __init__(self) -> None:
        self.by_outcome: dict[str, Series] = {}

    def record(self, outcome: str, seconds: float) -> None:
        """Takes one measurement."""
        series = self.by_outcome.get(outcome)
        if series is None:
            series = self.by_outcome[outcome] = Series()
        series.record(seconds)

    def timed(self, outcome: str) -> "Timed":
        """Measures a block; `outcome` is what counts unless the block says otherwise."""
        return Timed(self, outcome)


class Timed:
    """One measurement under way."""

    __slots__ = ("_began", "_bound", "outcome")

    def __init__(self, bound: Bound, outcome: str) -> None:
        self._bound = bound
        self.outcome = outcome

    def __enter__(self) -> Self:
        self._began = CLOCK()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bound.record(self.outcome, CLOCK() - self._began)


class Durations:
    """One histogram: an operation of the contracts, and how it ended, are its labels."""

    def __init__(self, name: str, description: str, operation: str, outcome: str) -> None:
        self._name = name
        self._description = description
        self._labels = (operation, outcome)
        self._bound: dict[str, Bound] = {}
        self._since = time.time_ns()

    def of(self, operation: str) -> Bound:
        """The measurements of one operation."""
        bound = self._bound.get(operation)
        if bound is None:
            bound = self._bound[operation] = Bound()
        return bound

    def metric(self) -> Metric:
        """Everything measured so far, in OpenTelemetry's words."""
        points = list(self._points(time.time_ns()))
        return Metric(self._name, self._description, "s", Histogram(points, AggregationTemporality.CUMULATIVE))

    def _points(self, now: int) -> Iterator[HistogramDataPoint]:
        for operation, bound in list(self._bound.items()):
            for outcome, series in list(bound.by_outcome.items()):
                counts = list(series.counts)
                yield HistogramDataPoint(
                    attributes=dict(zip(self._labels, (operation, outcome), strict=True)),
                    start_time_unix_nano=self._since,
                    time_unix_nano=now,
                    count=sum(counts),
                    sum=series.total,
                    bucket_counts=counts,
                    explicit_bounds=BOUNDS,
                    min=series.least,
                    max=series.most,
                )
