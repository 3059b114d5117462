"""OpenTelemetry spans around gRPC calls, named and marked as the semantic conventions for RPC say."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

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
"""What a server is to blame for. Other codes are answers; only the caller's span counts them as errors."""


@contextmanager
def start_server_span(path: str, metadata: Mapping[str, str]) -> Iterator[Span]:
    """The current span while a call is served; its parent is what the caller's metadata says."""
    with TRACER.start_as_current_span(
        path.removeprefix("/"),
        context=propagate.extract(metadata),
        kind=SpanKind.SERVER,
        attributes=_span_attributes(path),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


@contextmanager
def start_client_span(path: str, metadata: dict[str, str]) -> Iterator[Span]:
    """A span while a call is made, whose context is put into `metadata`.

    It is not made current: around a generator it would leak into whoever consumes it.
    """
    span = TRACER.start_span(path.removeprefix("/"), kind=SpanKind.CLIENT, attributes=_span_attributes(path))
    propagate.inject(metadata, context=trace.set_span_in_context(span))
    try:
        yield span
    finally:
        span.end()


def end_server_span(span: Span, code: grpc.StatusCode) -> None:
    """Marks how the call ended."""
    _record_status(span, code, code in SERVER_ERROR_CODES)


def end_client_span(span: Span, code: grpc.StatusCode) -> None:
    """Marks how the call ended."""
    _record_status(span, code, code is not grpc.StatusCode.OK)


def _record_status(span: Span, code: grpc.StatusCode, is_error: bool) -> None:
    span.set_attribute("rpc.response.status_code", code.name)
    if is_error:
        span.set_attribute("error.type", code.name)
        span.set_status(Status(StatusCode.ERROR))


def _span_attributes(path: str) -> dict[str, str]:
    return {"rpc.system.name": "grpc", "rpc.method": path.removeprefix("/")}
