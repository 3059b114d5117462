"""Duration histograms: buckets, timers and their cost compared with the SDK's histogram."""

import asyncio
import timeit
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.telemetry import histograms
from services.runtime.telemetry.histograms import (
    BUCKET_BOUNDS_S,
    DATABASE_BUCKET_BOUNDS_S,
    Attributes,
    DurationHistogram,
    OperationHistogram,
    Series,
)
from services.runtime.telemetry.metrics import METER, setup_metrics


def describe_status(status: str) -> Attributes:
    return {"status": status, **({"error": status} if status >= "500" else {})}


def create_histogram(bounds: tuple[float, ...] = BUCKET_BOUNDS_S) -> DurationHistogram[str]:
    return DurationHistogram("test.duration", "Description.", describe_status, bounds)


@given(st.lists(st.tuples(st.sampled_from(["200", "422", "503"]), st.floats(0, 60)), max_size=50))
def test_histogram_contains_every_measurement_once(measurements: list[tuple[str, float]]) -> None:
    histogram = create_histogram()
    for outcome, seconds in measurements:
        histogram.bind({"operation": "confirmOrder"}).record(outcome, seconds)
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
    histogram = create_histogram().bind({"operation": "one"})
    with histogram.start_timer("CANCELLED") as timer:
        timer.outcome = "OK"
    with pytest.raises(asyncio.CancelledError), histogram.start_timer("CANCELLED"):
        raise asyncio.CancelledError
    assert {name: sum(series.bucket_counts) for name, series in histogram.series_by_outcome.items()} == {
        "OK": 1,
        "CANCELLED": 1,
    }


@pytest.mark.parametrize(
    ("bounds", "bound"),
    [(bounds, bound) for bounds in (BUCKET_BOUNDS_S, DATABASE_BUCKET_BOUNDS_S) for bound in bounds],
)
def test_upper_bound_belongs_to_its_bucket(bounds: tuple[float, ...], bound: float) -> None:
    series = Series({}, bounds)
    series.record(bound)
    series.record(bound * 1.001)
    index = bounds.index(bound)
    assert series.bucket_counts[index : index + 2] == [1, 1]


def test_series_without_measurement_is_empty() -> None:
    series = Series({})
    assert sum(series.bucket_counts) == 0
    assert (series.total_s, series.max_s) == (0, 0)
    assert len(series.bucket_counts) == len(BUCKET_BOUNDS_S) + 1


@pytest.mark.parametrize("bounds", [BUCKET_BOUNDS_S, DATABASE_BUCKET_BOUNDS_S])
def test_bounds_increase(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted({*bounds})


def test_bounds_of_a_histogram_are_those_of_its_points() -> None:
    histogram = create_histogram(DATABASE_BUCKET_BOUNDS_S)
    histogram.bind({}).record("200", 0.002)
    (point,) = histogram.to_metric().data.data_points
    assert point.explicit_bounds == DATABASE_BUCKET_BOUNDS_S  # type: ignore[union-attr]
    assert list(point.bucket_counts) == [0, 1] + [0] * (len(DATABASE_BUCKET_BOUNDS_S) - 1)  # type: ignore[union-attr]


def test_attributes_of_an_outcome_are_built_once() -> None:
    described: list[str] = []

    def describe(outcome: str) -> Attributes:
        described.append(outcome)
        return {"outcome": outcome}

    histogram = OperationHistogram({}, describe)
    for outcome in ("OK", "OK", "CANCELLED", "OK"):
        histogram.record(outcome, 0.1)
    assert described == ["OK", "CANCELLED"]


def test_timer_measures_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 10.25])
    monkeypatch.setattr(histograms, "CLOCK", lambda: next(times))
    histogram = OperationHistogram({}, describe_status)
    with histogram.start_timer("OK"):
        pass
    assert histogram.series_by_outcome["OK"].total_s == 0.25


def test_operation_has_one_histogram() -> None:
    histogram = create_histogram()
    assert histogram.bind({"operation": "a", "kind": 1}) is histogram.bind({"kind": 1, "operation": "a"})
    assert histogram.bind({"operation": "a"}) is not histogram.bind({"operation": "b"})


def test_metric_is_cumulative_and_labelled() -> None:
    histogram = create_histogram()
    for operation, outcome in (("a", "200"), ("a", "500"), ("b", "200")):
        histogram.bind({"operation": operation}).record(outcome, 0.1)
    first, second = histogram.to_metric(), histogram.to_metric()
    assert (first.name, first.unit) == ("test.duration", "s")
    for metric in (first, second):
        assert [point.attributes for point in metric.data.data_points] == [
            {"operation": "a", "status": "200"},
            {"operation": "a", "status": "500", "error": "500"},
            {"operation": "b", "status": "200"},
        ]
    starts = {point.start_time_unix_nano for metric in (first, second) for point in metric.data.data_points}
    assert len(starts) == 1, "a changed start time would mean that the process has restarted"


def test_duration_histogram_takes_less_than_a_fifth_of_the_sdks_time() -> None:
    """Measure both alternately in one process, so that load of the machine affects both."""
    setup_metrics("test", "test")
    sdk_histogram = METER.create_histogram("test.sdk.duration", unit="s")
    histogram = create_histogram().bind({"operation": "one"})
    attributes = {"queue": "other", "event": "other", "outcome": "other"}
    own_s, sdk_s = (
        min(timeit.repeat(measure, number=2000, repeat=7))
        for measure in (lambda: histogram.record("200", 0.012), lambda: sdk_histogram.record(0.012, attributes))
    )
    assert own_s < sdk_s / 5
