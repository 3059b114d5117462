"""Export of spans in batches, and an exporter that is closed without spans."""

import threading
import time
from collections.abc import Sequence
from typing import override

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from services.runtime.telemetry import span_export
from services.runtime.telemetry.span_export import IdleSpanProcessor
from tests.wait import wait_until

LONG_DELAY_MS = "3600000"


class Collector:
    """Creates exporters and records their batches. The first `failures` batches raise an error."""

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[str]] = []
        self.created, self.started, self.closed = 0, 0, 0
        self.failures = failures
        self.close_error: Exception | None = None
        self.is_receiving = threading.Event()
        self.is_receiving.set()

    def create_exporter(self) -> SpanExporter:
        self.created += 1
        return RecordingExporter(self)

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


class RecordingExporter(SpanExporter):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._collector.started += 1
        self._collector.is_receiving.wait()
        self._collector.batches.append([span.name for span in spans])
        if len(self._collector.batches) <= self._collector.failures:
            raise RuntimeError("collector failed")
        return SpanExportResult.SUCCESS

    @override
    def shutdown(self) -> None:
        self._collector.closed += 1
        if self._collector.close_error is not None:
            raise self._collector.close_error


def create_provider(collector: Collector) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(IdleSpanProcessor(collector.create_exporter))
    return provider


def record_spans(provider: TracerProvider, *names: str) -> None:
    for name in names:
        provider.get_tracer("test").start_span(name).end()


@pytest.fixture
def _short_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.mark.usefixtures("_short_delay")
def test_spans_of_a_delay_are_exported_together() -> None:
    collector = Collector()
    provider = create_provider(collector)
    record_spans(provider, "a", "b")
    wait_until(lambda: collector.names == ["a", "b"], 5)
    record_spans(provider, "c")
    wait_until(lambda: collector.names == ["a", "b", "c"], 5)
    assert collector.created == 1
    provider.shutdown()
    assert collector.closed == 1


@pytest.mark.usefixtures("_short_delay")
def test_exporter_is_closed_without_spans_and_created_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_export, "CLOSE_AFTER_S", 0.01)
    collector = Collector()
    provider = create_provider(collector)
    assert collector.created == 0
    for count in (1, 2):
        record_spans(provider, "a")
        wait_until(lambda count=count: collector.closed == count, 5)  # type: ignore[misc]
        assert (collector.created, collector.names) == (count, ["a"] * count)
    provider.shutdown()


def test_complete_batch_and_shutdown_do_not_wait_for_the_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", LONG_DELAY_MS)
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    collector = Collector()
    provider = create_provider(collector)
    record_spans(provider, "a", "b")
    wait_until(lambda: collector.batches == [["a", "b"]], 5)
    record_spans(provider, "c")
    provider.shutdown()
    assert collector.batches == [["a", "b"], ["c"]]
    record_spans(provider, "after the shutdown")
    assert collector.names == ["a", "b", "c"]


def test_spans_of_a_full_queue_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "0")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")
    collector = Collector()
    collector.is_receiving.clear()
    provider = create_provider(collector)
    record_spans(provider, "a")
    wait_until(lambda: collector.created == 1, 5)
    record_spans(provider, "b", "c", "dropped")
    collector.is_receiving.set()
    provider.shutdown()
    assert collector.names == ["a", "b", "c"]


@pytest.mark.usefixtures("_short_delay")
def test_failed_export_does_not_end_later_ones(caplog: pytest.LogCaptureFixture) -> None:
    collector = Collector(failures=1)
    provider = create_provider(collector)
    for name in ("a", "b"):
        record_spans(provider, name)
        wait_until(lambda name=name: name in collector.names, 5)  # type: ignore[misc]
    provider.shutdown()
    assert collector.batches == [["a"], ["b"]]
    assert "1 spans not exported: unexpected error" in caplog.text


@pytest.mark.usefixtures("_short_delay")
def test_unsampled_spans_are_not_exported() -> None:
    collector = Collector()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(IdleSpanProcessor(collector.create_exporter))
    record_spans(provider, "a")
    provider.shutdown()
    assert collector.created == 0


def test_thread_takes_no_processor_time_without_spans() -> None:
    before_start = {*threading.enumerate()}
    provider = create_provider(Collector())
    (thread,) = {*threading.enumerate()} - before_start
    clock = time.pthread_getcpuclockid(thread.ident or 0)
    before = time.clock_gettime(clock)
    time.sleep(0.3)
    assert time.clock_gettime(clock) - before < 0.001
    provider.shutdown()


@pytest.mark.usefixtures("_short_delay")
def test_failed_close_does_not_end_the_export(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(span_export, "CLOSE_AFTER_S", 0.01)
    collector = Collector()
    collector.close_error = RuntimeError("channel failed")
    provider = create_provider(collector)
    for count in (1, 2):
        record_spans(provider, "a")
        wait_until(lambda count=count: collector.closed == count, 5)  # type: ignore[misc]
    provider.shutdown()
    assert collector.names == ["a", "a"]
    assert "span exporter not closed: unexpected error" in caplog.text


def test_first_dropped_span_is_logged_until_the_queue_is_empty(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "0")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")
    collector = Collector()
    provider = create_provider(collector)
    for count in (1, 2):
        collector.is_receiving.clear()
        started = collector.started
        record_spans(provider, "a")
        wait_until(lambda started=started: collector.started > started, 5)  # type: ignore[misc]
        record_spans(provider, "b", "c", "dropped", "dropped")
        assert caplog.text.count("span dropped: ") == count
        collector.is_receiving.set()
        wait_until(lambda count=count: collector.names == ["a", "b", "c"] * count, 5)  # type: ignore[misc]
    provider.shutdown()
