"""W3C trace context, in and out, and the spans around what a process takes in and sends out."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

tracer = trace.get_tracer("delivery")


def setup(service: str) -> TracerProvider:
    """Starts tracing for this process. Spans leave only where OTEL_EXPORTER_OTLP_ENDPOINT says so."""
    provider = TracerProvider(
        sampler=ParentBased(ALWAYS_ON),
        resource=Resource.create({"service.name": service, "service.namespace": "delivery"}),
    )
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=1)))
    trace.set_tracer_provider(provider)
    return provider


def carrier() -> dict[str, str]:
    """The current trace context as headers."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def current_trace_id() -> str:
    """The current trace's id, 32 hexadecimal digits; all zero outside a trace."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


@contextmanager
def span(
    name: str,
    kind: SpanKind,
    parent: Mapping[str, str] | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    link: bool = False,
) -> Iterator[Span]:
    """A span below the current one, or below the context in the headers of `parent`; an exception marks it as failed.

    `link` also links to the parent, as consumers do to their producer.
    """
    above = context.get_current() if parent is None else propagate.extract(parent)
    links = [Link(trace.get_current_span(above).get_span_context())] if link else []
    with tracer.start_as_current_span(
        name, above, kind, attributes, links, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield made
        except BaseException as error:
            made.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
