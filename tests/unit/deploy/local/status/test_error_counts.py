"""Sums of metrics, and ratios of failures."""

import pytest

from deploy.local.status.error_counts import ErrorCount, add_values, count_errors
from deploy.local.status.metrics_reader import MetricsSnapshot

METRICS = """
calls_total{kind="order",outcome="failed"} 4
calls_total{kind="order",outcome="accepted"} 6
calls_total{kind="menu",outcome="accepted"} 2
calls_total{kind="price",outcome="accepted"} 0
"""


@pytest.fixture
def snapshot() -> MetricsSnapshot:
    snapshot = MetricsSnapshot()
    for service in ("one", "two"):
        snapshot.add_service_metrics(service, METRICS)
    return snapshot


def test_failures_of_all_services_are_counted_by_label(snapshot: MetricsSnapshot) -> None:
    counts = count_errors(snapshot.samples, "calls_total", "kind", lambda labels: labels["outcome"] == "failed")
    assert counts == {"order": ErrorCount(8, 20), "menu": ErrorCount(0, 4), "price": ErrorCount(0, 0)}


@pytest.mark.parametrize(("failed", "total", "exceeds"), [(4, 10, True), (4, 40, False), (3, 3, False)])
def test_ratio_requires_more_than_three_failures(failed: int, total: int, exceeds: bool) -> None:
    assert ErrorCount(failed, total).exceeds(0.1) == exceeds


def test_values_above_zero_are_added_by_labels(snapshot: MetricsSnapshot) -> None:
    assert add_values(snapshot, "calls_total", "kind") == {("order",): 20, ("menu",): 4}
