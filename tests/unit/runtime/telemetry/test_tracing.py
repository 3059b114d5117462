"""Sampling, propagation and attributes of spans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.runtime.telemetry import tracing

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def record_spans(monkeypatch: pytest.MonkeyPatch, percent: float) -> InMemorySpanExporter:
    """Install a tracer provider with a sampling percentage, and return the exporter of its spans."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    exporter, provider = InMemorySpanExporter(), tracing.build_tracer_provider("test", "test", percent)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    return exporter


def create_parent_headers(sampled: bool) -> dict[str, str]:
    return {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-0{int(sampled)}"}


@pytest.mark.parametrize("percent", [0.0, 100.0])
@pytest.mark.parametrize("sampled", [True, False])
def test_sampling_follows_parent(monkeypatch: pytest.MonkeyPatch, percent: float, sampled: bool) -> None:
    exporter = record_spans(monkeypatch, percent)
    with (
        tracing.start_span("serve", SpanKind.SERVER, create_parent_headers(sampled)),
        tracing.start_child_span("SELECT orders"),
    ):
        child_traceparent = tracing.get_context_headers()["traceparent"]
        with tracing.start_detached_span("publish", SpanKind.PRODUCER, tracing.get_context_headers(), {}) as headers:
            pass
    assert [span.name for span in exporter.get_finished_spans()] == ["publish", "SELECT orders", "serve"] * sampled
    for traceparent in (child_traceparent, headers["traceparent"]):
        assert traceparent.split("-")[1] == TRACE_ID
        assert traceparent.endswith("-01" if sampled else "-00")


@pytest.mark.parametrize("link", [True, False])
def test_context_of_unsampled_parent_is_current_until_the_end(monkeypatch: pytest.MonkeyPatch, link: bool) -> None:
    exporter = record_spans(monkeypatch, 100)
    parent = create_parent_headers(sampled=False)

    def process() -> None:
        with tracing.start_span("process", SpanKind.CONSUMER, parent, link=link):
            assert tracing.get_context_headers() == parent
            raise ValueError("event")

    with pytest.raises(ValueError, match="event"):
        process()
    assert tracing.get_context_headers() == {}
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize(("percent", "spans"), [(0, 0), (100, 50)])
def test_root_spans_are_sampled_by_ratio(monkeypatch: pytest.MonkeyPatch, percent: float, spans: int) -> None:
    exporter = record_spans(monkeypatch, percent)
    for _ in range(50):
        with tracing.start_span("sweep", SpanKind.INTERNAL):
            pass
    assert len(exporter.get_finished_spans()) == spans


def test_child_span_without_parent_starts_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = record_spans(monkeypatch, 100)
    with tracing.start_child_span("SELECT outbox") as span, tracing.start_peer_span("fcm", "send"):
        span.set_attribute("name", "value")
    assert exporter.get_finished_spans() == ()


def test_concurrent_detached_spans_are_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = record_spans(monkeypatch, 100)
    other_traceparent = create_parent_headers(sampled=True)["traceparent"].replace("0af7", "ffff")
    with (
        tracing.start_detached_span(
            "publish a", SpanKind.PRODUCER, create_parent_headers(sampled=True), {}
        ) as headers_a,
        tracing.start_detached_span(
            "publish b", SpanKind.PRODUCER, {"traceparent": other_traceparent}, {}
        ) as headers_b,
    ):
        assert tracing.get_context_headers() == {}
    span_b, span_a = exporter.get_finished_spans()
    for span, headers in ((span_a, headers_a), (span_b, headers_b)):
        context = span.get_span_context()
        assert context is not None
        assert headers["traceparent"] == f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def test_error_span_has_type_but_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = record_spans(monkeypatch, 100)
    with pytest.raises(ValueError, match="ada"), tracing.start_span("serve", SpanKind.SERVER):
        raise ValueError("ada@delivery.test is taken")
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes == {"error.type": "ValueError"}
    assert "ada@delivery" not in span.to_json()  # hexadecimal ids may hold "ada"


@given(
    st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255), st.sampled_from(["", "a=1", "a=1,b=2"])
)
def test_unsampled_parent_is_that_of_the_propagator(trace_id: int, span_id: int, flags: int, tracestate: str) -> None:
    headers = {"traceparent": f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}", "tracestate": tracestate}
    expected = trace.get_current_span(propagate.extract(headers)).get_span_context()
    span = tracing.find_unsampled_parent(headers)
    assert (span is None) == expected.trace_flags.sampled
    if span is not None:
        assert span.get_span_context() == expected
        assert not span.is_recording()


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        f"00-{TRACE_ID}-b7ad6b7169203331",
        f"00-{TRACE_ID}-b7ad6b7169203331-00-00",
        f"01-{TRACE_ID}-b7ad6b7169203331-00",
        f"00-{'0' * 32}-b7ad6b7169203331-00",
        f"00-{TRACE_ID}-{'0' * 16}-00",
        f"00-{TRACE_ID.upper()}-b7ad6b7169203331-00",
    ],
)
def test_malformed_parent_is_not_unsampled(traceparent: str | None) -> None:
    assert tracing.find_unsampled_parent({} if traceparent is None else {"traceparent": traceparent}) is None


@pytest.mark.parametrize("sampled", [True, False])
def test_attached_context_is_passed_on_with_its_state(sampled: bool) -> None:
    headers = create_parent_headers(sampled) | {"tracestate": "vendor=1"}
    with tracing.attach_context(headers):
        assert tracing.get_context_headers() == headers
        assert tracing.get_current_trace_id() == TRACE_ID
    assert tracing.get_context_headers() == {}
