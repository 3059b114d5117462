"""Duration histograms: buckets, timers and their cost compared with the SDK's histogram."""

import asyncio
import timeit
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.messaging.metrics import EVENT_PROCESS_DURATION
from services.runtime.telemetry import histograms
from services.runtime.telemetry.histograms import BUCKET_BOUNDS_S, DurationHistogram, OperationHistogram, Series
from services.runtime.telemetry.metrics import OTHER, setup_metrics


@given(st.lists(st.tuples(st.sampled_from(["200", "422", "503"]), st.floats(0, 60)), max_size=50))
def test_histogram_contains_every_measurement_once(measurements: list[tuple[str, float]]) -> None:
    histogram = DurationHistogram("test.duration", "Description.", "operation", "status")
    for outcome, seconds in measurements:
        histogram.for_operation("confirmOrder").record(outcome, seconds)
    points = {point.attributes["status"]: point for point in histogram.to_metric().data.data_points}  # type: ignore[index, misc, union-attr]
    assert points.keys() == {outcome for outcome, _ in measurements}
    for status, point in points.items():
        durations = [seconds for outcome, seconds in measurements if outcome == status]
        expected = [0] * (len(BUCKET_BOUNDS_S) + 1)
        for seconds in durations:
            expected[bisect_left(BUCKET_BOUNDS_S, seconds)] += 1
        assert list(point.bucket_counts) == expected  # type: ignore[union-attr]
        assert point.count == len(durations)  # type: ignore[union-attr]
        assert point.sum == pytest.approx(sum(durations))  # type: ignore[union-attr]
        assert (point.min, point.max) == (min(durations), max(durations))  # type: ignore[union-attr]


def test_timer_records_outcome_set_by_block_or_default() -> None:
    histogram = DurationHistogram("test.duration", "Description.", "operation", "status").for_operation("one")
    with histogram.start_timer("CANCELLED") as timer:
        timer.outcome = "OK"
    with pytest.raises(asyncio.CancelledError), histogram.start_timer("CANCELLED"):
        raise asyncio.CancelledError
    assert {name: sum(series.bucket_counts) for name, series in histogram.series_by_outcome.items()} == {
        "OK": 1,
        "CANCELLED": 1,
    }


@pytest.mark.parametrize("bound", BUCKET_BOUNDS_S)
def test_upper_bound_belongs_to_its_bucket(bound: float) -> None:
    series = Series()
    series.record(bound)
    series.record(bound * 1.001)
    index = BUCKET_BOUNDS_S.index(bound)
    assert series.bucket_counts[index : index + 2] == [1, 1]


def test_series_without_measurement_is_empty() -> None:
    series = Series()
    assert sum(series.bucket_counts) == 0
    assert (series.total_s, series.max_s) == (0, 0)
    assert len(series.bucket_counts) == len(BUCKET_BOUNDS_S) + 1


def test_bounds_increase() -> None:
    assert list(BUCKET_BOUNDS_S) == sorted({*BUCKET_BOUNDS_S})


def test_timer_measures_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 10.25])
    monkeypatch.setattr(histograms, "CLOCK", lambda: next(times))
    histogram = OperationHistogram()
    with histogram.start_timer("OK"):
        pass
    assert histogram.series_by_outcome["OK"].total_s == 0.25


def test_operation_has_one_histogram() -> None:
    histogram = DurationHistogram("test.duration", "Description.", "operation", "status")
    assert histogram.for_operation("a") is histogram.for_operation("a")
    assert histogram.for_operation("a") is not histogram.for_operation("b")


def test_metric_is_cumulative_and_labelled() -> None:
    histogram = DurationHistogram("test.duration", "Description.", "operation", "status")
    for operation, outcome in (("a", "200"), ("a", "500"), ("b", "200")):
        histogram.for_operation(operation).record(outcome, 0.1)
    first, second = histogram.to_metric(), histogram.to_metric()
    assert (first.name, first.unit) == ("test.duration", "s")
    for metric in (first, second):
        labels = [tuple((point.attributes or {}).values()) for point in metric.data.data_points]
        assert labels == [("a", "200"), ("a", "500"), ("b", "200")]
    starts = {point.start_time_unix_nano for metric in (first, second) for point in metric.data.data_points}
    assert len(starts) == 1, "a changed start time would mean that the process has restarted"


def test_duration_histogram_takes_less_than_a_fifth_of_the_sdks_time() -> None:
    """Measure both alternately in one process, so that load of the machine affects both."""
    setup_metrics("test")
    histogram = DurationHistogram("test.duration", "Description.", "operation", "status").for_operation("one")
    labels = {"queue": OTHER, "event": OTHER, "outcome": OTHER}
    own_s, sdk_s = (
        min(timeit.repeat(measure, number=2000, repeat=7))
        for measure in (lambda: histogram.record("200", 0.012), lambda: EVENT_PROCESS_DURATION.record(0.012, labels))
    )
    assert own_s < sdk_s / 5
