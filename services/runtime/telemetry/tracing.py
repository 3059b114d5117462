"""Tracing: provider, propagation of the W3C trace context, and spans."""

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Token
from typing import override

from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    INVALID_SPAN,
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from opentelemetry.util.types import AttributeValue

from generated import mesh
from services.runtime.telemetry.resource import build_resource
from services.runtime.telemetry.span_export import IdleSpanProcessor

tracer = trace.get_tracer(mesh.NAME)

_UNSAMPLED_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace]")
"""Valid `traceparent` of an unsampled trace, in version 00 of the W3C's format."""

CONTEXT_HEADERS = frozenset({b"traceparent", b"tracestate"})
"""Names of the headers of the trace context."""

FLUSH_TIMEOUT_S = 0.8
"""Timeout of the span export at shutdown, in seconds."""


def setup_tracing(service: str, environment: str, sample_percent: float) -> TracerProvider:
    """Set the global tracer provider of this process."""
    tracer_provider = build_tracer_provider(service, environment, sample_percent)
    trace.set_tracer_provider(tracer_provider)
    return tracer_provider


def build_tracer_provider(service: str, environment: str, sample_percent: float) -> TracerProvider:
    """Build a tracer provider that exports spans in batches to OTEL_EXPORTER_OTLP_ENDPOINT, if it is set.

    Spans with a parent follow the parent's sampling decision. `sample_percent` applies to root spans.
    """
    tracer_provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(sample_percent / 100)),
        resource=build_resource(service, environment),
        shutdown_on_exit=False,
    )
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        tracer_provider.add_span_processor(IdleSpanProcessor(lambda: OTLPSpanExporter(timeout=1)))
    return tracer_provider


def shutdown_tracing(tracer_provider: TracerProvider) -> None:
    """Export the remaining spans within FLUSH_TIMEOUT_S, so that an unavailable collector does not delay shutdown."""
    thread = threading.Thread(target=tracer_provider.shutdown, name="span-flush", daemon=True)
    thread.start()
    thread.join(FLUSH_TIMEOUT_S)


class _UnsampledSpan(NonRecordingSpan):
    """Span of the caller in an unsampled trace, with its valid headers, which are passed on unchanged."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        self.headers = headers

    @override
    def get_span_context(self) -> SpanContext:
        """Return the context in the headers. Most requests do not need it."""
        _, trace_id, span_id, flags = self.headers["traceparent"].split("-")
        trace_state = TraceState.from_header([self.headers["tracestate"]]) if "tracestate" in self.headers else None
        return SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)), trace_state)


class CurrentSpan:
    """Context manager that makes a span the current one, in a third of the time of the generator `trace.use_span`."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            context.detach(self._token)


def get_context_headers() -> dict[str, str]:
    """Return the current trace context as headers."""
    headers: dict[str, str] = {}
    add_context_to(headers)
    return headers


def add_context_to(headers: dict[str, str]) -> None:
    """Add the current trace context to headers."""
    span = trace.get_current_span()
    if isinstance(span, _UnsampledSpan):
        headers.update(span.headers)
    else:
        propagate.inject(headers)


def get_current_trace_id() -> str:
    """Return the id of the current trace, 32 hexadecimal digits; all zeros outside a trace."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


def is_unsampled(headers: Mapping[str, str]) -> bool:
    """Return whether the headers are the valid context of an unsampled trace."""
    return _UNSAMPLED_TRACEPARENT.fullmatch(headers.get("traceparent", "")) is not None


def find_unsampled_parent(headers: Mapping[str, str]) -> Span | None:
    """Return the span of the caller if its trace is not sampled, or None.

    It is used in place of its children: they would not be recorded, and their creation takes 10 µs and more. The
    propagators of OpenTelemetry, which also parse sampled and malformed headers, take three times as long.
    """
    traceparent = headers.get("traceparent")
    if traceparent is None or _UNSAMPLED_TRACEPARENT.fullmatch(traceparent) is None:
        return None
    parent_headers = {"traceparent": traceparent}
    if tracestate := headers.get("tracestate"):
        parent_headers["tracestate"] = TraceState.from_header([tracestate]).to_header()
    return _UnsampledSpan(parent_headers)


def is_current_sampled() -> bool:
    """Return whether the current trace is sampled."""
    span = trace.get_current_span()
    return not isinstance(span, _UnsampledSpan) and span.get_span_context().trace_flags.sampled


def find_current_unsampled_span() -> Span | None:
    """Return the current span if its trace is not sampled, or None."""
    span = trace.get_current_span()
    if isinstance(span, _UnsampledSpan):
        return span
    span_context = span.get_span_context()
    return span if span_context.is_valid and not span_context.trace_flags.sampled else None


@contextmanager
def attach_context(parent_headers: Mapping[str, str]) -> Iterator[None]:
    """Make the context in the headers current, so that log records carry its trace id."""
    unsampled = find_unsampled_parent(parent_headers)
    parent = propagate.extract(parent_headers) if unsampled is None else trace.set_span_in_context(unsampled)
    token = context.attach(parent)
    try:
        yield
    finally:
        context.detach(token)


def start_span(
    name: str,
    kind: SpanKind,
    parent_headers: Mapping[str, str] | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    link: bool = False,
) -> AbstractContextManager[Span]:
    """Start a span as the current span; an exception sets its status to error.

    The parent is the context in `parent_headers`, or else the current span. `link` adds a link to the parent, as
    consumers have to their producer. For an unsampled parent no span is created and the parent is yielded.
    """
    if parent_headers is None:
        unsampled = find_current_unsampled_span()
        return _start_recorded_span(name, kind, None, attributes, link) if unsampled is None else nullcontext(unsampled)
    unsampled = find_unsampled_parent(parent_headers)
    if unsampled is not None:
        return CurrentSpan(unsampled)
    return _start_recorded_span(name, kind, propagate.extract(parent_headers), attributes, link)


@contextmanager
def _start_recorded_span(
    name: str, kind: SpanKind, parent: Context | None, attributes: Mapping[str, AttributeValue] | None, link: bool
) -> Iterator[Span]:
    links = [Link(trace.get_current_span(parent).get_span_context())] if link else []
    with tracer.start_as_current_span(
        name, parent, kind, attributes, links, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            record_error(span, type(error).__name__)
            raise


def record_error(span: Span, error_type: str) -> None:
    """Set a span's status to error. `error_type` has low cardinality and is not a message."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))


@contextmanager
def start_detached_span(
    name: str, kind: SpanKind, parent_headers: Mapping[str, str], attributes: Mapping[str, AttributeValue]
) -> Iterator[dict[str, str]]:
    """Start a span that is not the current span, and yield its context as headers. Many such spans can be open."""
    span = tracer.start_span(name, propagate.extract(parent_headers), kind, attributes)
    headers: dict[str, str] = {}
    propagate.inject(headers, trace.set_span_in_context(span))
    try:
        yield headers
    except BaseException as error:
        record_error(span, type(error).__name__)
        raise
    finally:
        span.end()


@contextmanager
def start_child_span(
    name: str, kind: SpanKind = SpanKind.CLIENT, attributes: Mapping[str, AttributeValue] | None = None
) -> Iterator[Span]:
    """Start a child of the current span if that is recorded, so that polling for work starts no trace."""
    if not trace.get_current_span().is_recording():
        yield INVALID_SPAN
        return
    with start_span(name, kind, None, attributes) as span:
        yield span


def start_peer_span(
    peer: str, operation: str, attributes: Mapping[str, AttributeValue] | None = None
) -> AbstractContextManager[Span]:
    """Start a client span of a call to an external system, such as `start_peer_span("fcm", "send")`."""
    return start_child_span(f"{peer} {operation}", SpanKind.CLIENT, {"service.peer.name": peer, **(attributes or {})})


def record_http_response(span: Span, status: int, min_error_status: int = 400) -> None:
    """Record the status of an HTTP response: an error from 400 in a client span, and from 500 in a server span."""
    span.set_attribute("http.response.status_code", status)
    if status >= min_error_status:
        record_error(span, str(status))
