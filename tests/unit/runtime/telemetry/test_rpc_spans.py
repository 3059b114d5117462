"""Spans of RPCs: kind, parent, attributes and status."""

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.runtime.telemetry import rpc_spans

PATH = "/delivery.orders.v1.OrdersService/ConfirmOrder"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}


def get_span(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def get_attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_client_span_is_error_for_every_code_except_ok(exporter: InMemorySpanExporter, code: grpc.StatusCode) -> None:
    with rpc_spans.start_client_span(PATH, {}) as span:
        rpc_spans.end_client_span(span, code)
    attributes = {"rpc.system.name": "grpc", "rpc.method": PATH[1:], "rpc.response.status_code": code.name}
    is_error = code is not grpc.StatusCode.OK
    finished = get_span(exporter)
    assert (finished.name, finished.kind) == (PATH[1:], SpanKind.CLIENT)
    assert (finished.status.status_code is StatusCode.ERROR) == is_error
    assert get_attributes(finished) == attributes | ({"error.type": code.name} if is_error else {})


@pytest.mark.parametrize(
    ("code", "is_error"),
    [
        (grpc.StatusCode.OK, False),
        (grpc.StatusCode.CANCELLED, False),
        (grpc.StatusCode.INVALID_ARGUMENT, False),
        (grpc.StatusCode.NOT_FOUND, False),
        (grpc.StatusCode.PERMISSION_DENIED, False),
        (grpc.StatusCode.UNAUTHENTICATED, False),
        (grpc.StatusCode.FAILED_PRECONDITION, False),
        (grpc.StatusCode.UNKNOWN, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, True),
        (grpc.StatusCode.UNIMPLEMENTED, True),
        (grpc.StatusCode.INTERNAL, True),
        (grpc.StatusCode.UNAVAILABLE, True),
        (grpc.StatusCode.DATA_LOSS, True),
    ],
)
def test_server_span_is_error_for_errors_of_server_only(
    exporter: InMemorySpanExporter, code: grpc.StatusCode, is_error: bool
) -> None:
    with rpc_spans.start_server_span(PATH, PARENT) as span:
        rpc_spans.end_server_span(span, code)
    finished = get_span(exporter)
    assert (finished.name, finished.kind) == (PATH[1:], SpanKind.SERVER)
    assert (finished.status.status_code is StatusCode.ERROR) == is_error
    assert ("error.type" in get_attributes(finished)) == is_error


def test_server_span_is_current_and_child_of_the_caller(exporter: InMemorySpanExporter) -> None:
    with rpc_spans.start_server_span(PATH, PARENT) as span:
        assert trace.get_current_span() is span
    finished = get_span(exporter)
    assert finished.parent is not None
    assert trace.format_trace_id(finished.parent.trace_id) == TRACE_ID


def test_client_span_is_injected_and_not_current(exporter: InMemorySpanExporter) -> None:
    metadata = {"authorization": "Bearer a"}
    with rpc_spans.start_client_span(PATH, metadata) as span:
        assert trace.get_current_span() is not span
    context = get_span(exporter).context
    assert context is not None
    assert metadata["authorization"] == "Bearer a"
    assert metadata["traceparent"].split("-")[2] == trace.format_span_id(context.span_id)


def test_unsampled_trace_has_no_spans_and_the_same_context(exporter: InMemorySpanExporter) -> None:
    parent = {"traceparent": PARENT["traceparent"].removesuffix("-01") + "-00"}
    metadata: dict[str, str] = {}
    with rpc_spans.start_server_span(PATH, parent) as span:
        assert trace.get_current_span() is span
        with rpc_spans.start_client_span(PATH, metadata) as client_span:
            rpc_spans.end_client_span(client_span, grpc.StatusCode.INTERNAL)
        rpc_spans.end_server_span(span, grpc.StatusCode.INTERNAL)
    assert metadata == parent
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert exporter.get_finished_spans() == ()


def test_baggage_of_caller_is_not_propagated(exporter: InMemorySpanExporter) -> None:
    for flags in ("-00", "-01"):
        parent = {"traceparent": PARENT["traceparent"].removesuffix("-01") + flags, "baggage": "key=value"}
        metadata: dict[str, str] = {}
        with rpc_spans.start_server_span(PATH, parent), rpc_spans.start_client_span(PATH, metadata):
            assert metadata.keys() == {"traceparent"}
    assert len(exporter.get_finished_spans()) == 2


def test_exception_message_is_not_recorded(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), rpc_spans.start_server_span(PATH, {}):
        raise ValueError("secret")
    with pytest.raises(ValueError, match="secret"), rpc_spans.start_client_span(PATH, {}):
        raise ValueError("secret")
    server, client = exporter.get_finished_spans()
    for span in (server, client):
        assert not span.events
        assert span.status.description is None
