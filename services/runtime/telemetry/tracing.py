"""W3C trace context, in and out, and the spans around what a process takes in and sends out."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

tracer = trace.get_tracer("delivery")

_UNSAMPLED_SUFFIX = "-00"
"""How a `traceparent` ends of which no span is recorded, by the W3C's version 00 of it."""

FLUSH_TIMEOUT_S = 0.8
"""Seconds that a process which ends waits until its last spans have left."""


def setup_tracing(service: str, sample_percent: float) -> TracerProvider:
    """Starts tracing for this process."""
    made = build_tracer_provider(service, sample_percent)
    trace.set_tracer_provider(made)
    return made


def build_tracer_provider(service: str, sample_percent: float) -> TracerProvider:
    """Makes spans, which leave in batches beside what is served, and only where OTEL_EXPORTER_OTLP_ENDPOINT says so.

    What was asked for by others is traced as they decided, up to the edge; `percent` is the share of what begins here.
    """
    made = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(sample_percent / 100)),
        resource=Resource.create({"service.name": service, "service.namespace": "delivery"}),
        shutdown_on_exit=False,
    )
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=1)))
    return made


def shutdown_tracing(tracer_provider: TracerProvider) -> None:
    """Sends what is left, within LAST_WORDS_S: a collector that is away or hangs holds up no shutdown."""
    sending = threading.Thread(target=tracer_provider.shutdown, name="last-spans", daemon=True)
    sending.start()
    sending.join(FLUSH_TIMEOUT_S)


def get_context_headers() -> dict[str, str]:
    """The current trace context as headers."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def get_current_trace_id() -> str:
    """The current trace's id, 32 hexadecimal digits; all zero outside a trace."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


@contextmanager
def attach_context(parent_headers: Mapping[str, str]) -> Iterator[None]:
    """Lets what is logged belong to the trace of the context in these headers."""
    token = context.attach(propagate.extract(parent_headers))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def start_span(
    name: str,
    kind: SpanKind,
    parent_headers: Mapping[str, str] | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    link: bool = False,
) -> Iterator[Span]:
    """A span below the current one, or below the context in the headers of `parent`; an exception marks it as failed.

    `link` also links to the parent, as consumers do to their producer.
    """
    above = context.get_current() if parent_headers is None else propagate.extract(parent_headers)
    links = [Link(trace.get_current_span(above).get_span_context())] if link else []
    with tracer.start_as_current_span(
        name, above, kind, attributes, links, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield made
        except BaseException as error:
            record_error(made, type(error).__name__)
            raise


def record_error(span: Span, error_type: str) -> None:
    """Marks a span as failed; `why` is a word of few, not a message."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))


@contextmanager
def start_detached_span(
    name: str, kind: SpanKind, parent_headers: Mapping[str, str], attributes: Mapping[str, AttributeValue]
) -> Iterator[dict[str, str]]:
    """A span that is never the current one, so that many can be open at once; its context as headers.

    What nobody records passes as it came.
    """
    if str(parent_headers.get("traceparent")).endswith(_UNSAMPLED_SUFFIX):
        yield dict(parent_headers)
        return
    made = tracer.start_span(name, propagate.extract(parent_headers), kind, attributes)
    headers: dict[str, str] = {}
    propagate.inject(headers, trace.set_span_in_context(made))
    try:
        yield headers
    except BaseException as error:
        record_error(made, type(error).__name__)
        raise
    finally:
        made.end()


@contextmanager
def start_child_span(
    name: str, kind: SpanKind = SpanKind.CLIENT, attributes: Mapping[str, AttributeValue] | None = None
) -> Iterator[Span]:
    """A span below the current one if that is recorded: looking for work begins no trace of its own."""
    if not trace.get_current_span().is_recording():
        yield INVALID_SPAN
        return
    with start_span(name, kind, None, attributes) as made:
        yield made


def start_peer_span(
    peer: str, operation: str, attributes: Mapping[str, AttributeValue] | None = None
) -> AbstractContextManager[Span]:
    """A `child` around a call to somebody outside ("fcm", "send")."""
    return start_child_span(f"{peer} {operation}", SpanKind.CLIENT, {"service.peer.name": peer, **(attributes or {})})


def record_http_response(span: Span, status: int) -> None:
    """What came back by HTTP; for whoever called, each error is one."""
    span.set_attribute("http.response.status_code", status)
    if status >= 400:
        record_error(span, str(status))
