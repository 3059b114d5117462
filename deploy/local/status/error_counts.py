"""Sums of metrics of a snapshot, and ratios of failures."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from deploy.local.status.metrics_reader import MetricSample, MetricsSnapshot

MIN_FAILURES = 3
"""Failures above which an error ratio is a problem."""


class ErrorCount(NamedTuple):
    """Number of failures among all measurements of a group."""

    failed: float
    total: float

    def exceeds(self, ratio: float) -> bool:
        """Return whether the ratio of failures is above a limit, with more than MIN_FAILURES failures."""
        return self.failed > MIN_FAILURES and self.failed > ratio * self.total


def count_errors(
    samples: Iterable[MetricSample], name: str, group: str, is_failure: Callable[[Mapping[str, str]], bool]
) -> dict[str, ErrorCount]:
    """Sum a counter and its failures by the values of a label; without the label, the group is empty."""
    counts: defaultdict[str, ErrorCount] = defaultdict(lambda: ErrorCount(0, 0))
    for sample in samples:
        if sample.name == name:
            count, failed = counts[sample.labels.get(group, "")], sample.value * is_failure(sample.labels)
            counts[sample.labels.get(group, "")] = ErrorCount(count.failed + failed, count.total + sample.value)
    return counts


def add_values(snapshot: MetricsSnapshot, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Sum the values of a metric that are above zero, by label values."""
    sums: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for sample in snapshot.samples:
        if sample.name == name and sample.value > 0:
            sums[tuple(sample.labels.get(label, "") for label in labels)] += sample.value
    return sums
