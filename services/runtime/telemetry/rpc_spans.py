"""OpenTelemetry spans of gRPC calls, according to the semantic conventions for RPC."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import grpc
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from services.runtime.telemetry import tracing

TRACER = trace.get_tracer("services.runtime.rpc")

SERVER_ERROR_CODES = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Status codes that are errors of a server span. In a client span, every code except OK is an error."""


@cache
def build_attributes(path: str) -> Mapping[str, str]:
    """Return the attributes of a method's spans and durations, which are built once."""
    return {"rpc.system.name": "grpc", "rpc.method": path.removeprefix("/")}


def start_server_span(path: str, metadata: Mapping[str, str]) -> AbstractContextManager[Span]:
    """Start a server span as the current span; its parent is the context in the caller's metadata.

    For an unsampled parent no span is created and the parent is yielded.
    """
    if (unsampled := tracing.find_unsampled_parent(metadata)) is not None:
        return tracing.CurrentSpan(unsampled)
    return TRACER.start_as_current_span(
        path.removeprefix("/"),
        context=propagate.extract(metadata),
        kind=SpanKind.SERVER,
        attributes=build_attributes(path),
        record_exception=False,
        set_status_on_exception=False,
    )


def start_client_span(path: str, metadata: dict[str, str]) -> AbstractContextManager[Span]:
    """Start a client span and inject its context into `metadata`.

    The span is not the current span, because in a generator that would leak into the consumer's context. In an
    unsampled trace no span is created and the current one is yielded.
    """
    if (unsampled := tracing.find_current_unsampled_span()) is not None:
        tracing.add_context_to(metadata)
        return nullcontext(unsampled)
    return _start_recorded_client_span(path, metadata)


@contextmanager
def _start_recorded_client_span(path: str, metadata: dict[str, str]) -> Iterator[Span]:
    span = TRACER.start_span(path.removeprefix("/"), kind=SpanKind.CLIENT, attributes=build_attributes(path))
    propagate.inject(metadata, context=trace.set_span_in_context(span))
    try:
        yield span
    finally:
        span.end()


def end_server_span(span: Span, code: grpc.StatusCode) -> None:
    """Set the status of a server span."""
    _record_status(span, code, code in SERVER_ERROR_CODES)


def end_client_span(span: Span, code: grpc.StatusCode) -> None:
    """Set the status of a client span."""
    _record_status(span, code, code is not grpc.StatusCode.OK)


def _record_status(span: Span, code: grpc.StatusCode, is_error: bool) -> None:
    if not span.is_recording():
        return
    span.set_attribute("rpc.response.status_code", code.name)
    if is_error:
        span.set_attribute("error.type", code.name)
        span.set_status(Status(StatusCode.ERROR))
