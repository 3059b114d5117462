"""Histograms, bounded labels, and the metrics endpoint."""

import asyncio
import timeit
from bisect import bisect_left
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from services.runtime.messaging.channel import BrokerUnavailable
from services.runtime.messaging.metrics import EVENT_PROCESS_DURATION
from services.runtime.process.metrics_endpoint import MetricsServer
from services.runtime.telemetry.histograms import BUCKET_BOUNDS_S, DurationHistogram
from services.runtime.telemetry.metrics import (
    HTTP_SERVER_DURATION,
    OTHER,
    BoundedLabel,
    ObservableGauge,
    setup_metrics,
)


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


@given(st.lists(st.text(max_size=3)), st.integers(0, 5))
def test_bounded_label_has_at_most_max_values_and_other(names: list[str], max_values: int) -> None:
    label = BoundedLabel(max_values)
    values = {label.normalise(name) for name in names}
    assert len(values - {OTHER}) <= max_values
    assert len(values) <= max_values + 1


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


GAUGE = ObservableGauge("test.level", "Test gauge.", "s", "queue")


@pytest.fixture
async def metrics_socket(tmp_path: Path) -> AsyncIterator[Path]:
    """Return the socket of a metrics endpoint whose second gauge refresh fails."""
    refreshes = 0

    async def refresh() -> None:
        nonlocal refreshes
        GAUGE.set({})
        refreshes += 1
        if refreshes > 1:
            raise BrokerUnavailable("unavailable")
        GAUGE.set({("orders.history",): 3})

    path = tmp_path / "x-metrics.sock"
    task = asyncio.create_task(MetricsServer(setup_metrics("test"), [refresh], cache_ttl_s=0).run(path))
    while not path.exists():
        await asyncio.sleep(0)
    yield path
    task.cancel()
    await asyncio.wait([task])
    assert not path.exists()


async def send_request(path: Path, request: bytes) -> tuple[bytes, str]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head.split(b"\r\n")[0], body.decode()


async def test_scrape_includes_refreshed_gauges(metrics_socket: Path) -> None:
    HTTP_SERVER_DURATION.for_operation("confirmOrder").record("201", 0.02)
    status, body = await send_request(metrics_socket, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
    assert status == b"HTTP/1.1 200 OK"
    samples = [sample for family in text_string_to_metric_families(body) for sample in family.samples]
    (gauge,) = [sample for sample in samples if sample.name == "test_level_seconds"]
    assert (gauge.labels, gauge.value) == ({"queue": "orders.history"}, 3)
    labels = {"operation": "confirmOrder", "http_response_status_code": "201"}
    assert {sample.name for sample in samples if sample.labels == labels} == {
        f"http_server_request_duration_seconds_{part}" for part in ("count", "sum")
    }
    _, body = await send_request(metrics_socket, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert "test_level" not in body, "a gauge has no value while its refresh fails"


@pytest.mark.parametrize("request_line", [b"POST /metrics", b"GET /", b"GET /metrics/x", b"HEAD /metrics", b"nonsense"])
async def test_other_requests_return_404(metrics_socket: Path, request_line: bytes) -> None:
    status, body = await send_request(metrics_socket, request_line + b" HTTP/1.1\r\n\r\n")
    assert status == b"HTTP/1.1 404 Not Found"
    assert "duration" not in body


async def test_connection_with_oversized_request_is_closed(metrics_socket: Path) -> None:
    assert await send_request(metrics_socket, b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 70_000) == (b"", "")
