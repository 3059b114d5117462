"""Receivers of OTLP over gRPC and HTTP, with bounded request sizes."""

import asyncio
import base64
import json
import zlib
from typing import Any, override

import grpc.aio
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.requests import Request
from starlette.responses import Response

from deploy.trace_viewer.span_record import parse_spans
from deploy.trace_viewer.store import TraceStore

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Maximum size of a decompressed request; gRPC's default limit is the same."""

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_ID_FIELDS = {"traceId", "spanId", "parentSpanId"}


class OtlpRequestError(Exception):
    """A request is rejected with the HTTP status `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GrpcReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Servicer of opentelemetry.proto.collector.trace.v1.TraceService."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    @override
    async def Export(
        self, request: ExportTraceServiceRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> ExportTraceServiceResponse:
        """Store a batch of spans."""
        self._store.add_spans(parse_spans(request.resource_spans))
        return ExportTraceServiceResponse()


async def serve_grpc(store: TraceStore, address: str) -> grpc.aio.Server:
    """Start a gRPC server. Raises RuntimeError if it cannot listen on the address."""
    # With SO_REUSEPORT a second viewer on the same port would start and receive some of the connections.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(GrpcReceiver(store), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(address)
    await server.start()
    return server


class HttpReceiver:
    """Handler of POST /v1/traces with protobuf or JSON, optionally gzipped.

    Browsers send neither media type to another origin without a CORS preflight, so other sites cannot write traces.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    async def receive(self, request: Request) -> Response:
        """Store a batch of spans."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if media_type not in (PROTOBUF, JSON):
                raise OtlpRequestError(415, f"unsupported media type: expected {PROTOBUF} or {JSON}")
            body = decompress(await _read_body(request), request.headers.get("content-encoding", "identity"))
            # Parsing JSON is slow and must not block the event loop.
            export = parse_protobuf(body) if media_type == PROTOBUF else await asyncio.to_thread(parse_json, body)
        except OtlpRequestError as error:
            return Response(str(error), error.status, media_type="text/plain")
        self._store.add_spans(parse_spans(export.resource_spans))
        return Response(b"" if media_type == PROTOBUF else b"{}", media_type=media_type)


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise OtlpRequestError(413, "body larger than 4 MiB")
    return bytes(body)


def decompress(body: bytes, encoding: str) -> bytes:
    """Return the decompressed body. Raises OtlpRequestError, also if it would exceed MAX_BODY_BYTES."""
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise OtlpRequestError(415, "unsupported content encoding: expected gzip or identity")
    decompressor = zlib.decompressobj(wbits=31)
    try:
        decompressed = decompressor.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise OtlpRequestError(400, "body is not gzip") from error
    if len(decompressed) > MAX_BODY_BYTES:
        raise OtlpRequestError(413, "body larger than 4 MiB")
    return decompressed


def parse_protobuf(body: bytes) -> ExportTraceServiceRequest:
    """Parse a batch in protobuf format. Raises OtlpRequestError."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise OtlpRequestError(400, "body is not an ExportTraceServiceRequest") from error


def parse_json(body: bytes) -> ExportTraceServiceRequest:
    """Parse a batch in OTLP's JSON format, whose ids are hexadecimal instead of base64. Raises OtlpRequestError."""
    try:
        return ParseDict(
            json.loads(body, object_hook=_encode_ids_as_base64), ExportTraceServiceRequest(), ignore_unknown_fields=True
        )
    except (ParseError, TypeError, ValueError, RecursionError) as error:
        raise OtlpRequestError(400, "body is not an ExportTraceServiceRequest") from error


def _encode_ids_as_base64(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode() if key in _ID_FIELDS and isinstance(value, str) else value
        for key, value in fields.items()
    }
