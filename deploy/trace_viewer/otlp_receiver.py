"""OTLP in, by gRPC and by HTTP. Nothing that is sent here can be more than refused."""

import asyncio
import base64
import json
import zlib
from typing import Any

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
"""Bytes of one request, unpacked; gRPC's own limit is the same."""

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_ID_FIELDS = {"traceId", "spanId", "parentSpanId"}


class OtlpRequestError(Exception):
    """What is sent is not taken; `status` says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GrpcReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    """opentelemetry.proto.collector.trace.v1.TraceService."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    async def Export(  # noqa: N802 (the service's own name)
        self, request: ExportTraceServiceRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> ExportTraceServiceResponse:
        """Takes one batch."""
        self._store.add_spans(parse_spans(request.resource_spans))
        return ExportTraceServiceResponse()


async def serve_grpc(store: TraceStore, address: str) -> grpc.aio.Server:
    """A server that listens. Raises RuntimeError when it cannot."""
    # Two pages on one port would share its connections by chance.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(GrpcReceiver(store), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(address)
    await server.start()
    return server


class HttpReceiver:
    """POST /v1/traces, protobuf or JSON, gzipped or not. Scripts of other pages cannot send either media type here."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    async def receive(self, request: Request) -> Response:
        """Takes one batch."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if media not in (PROTOBUF, JSON):
                raise OtlpRequestError(415, f"{PROTOBUF} or {JSON} is taken")
            body = decompress(await _read_body(request), request.headers.get("content-encoding", "identity"))
            # JSON is slow to read; meanwhile others are served.
            sent = parse_protobuf(body) if media == PROTOBUF else await asyncio.to_thread(parse_json, body)
        except OtlpRequestError as refused:
            return Response(str(refused), refused.status, media_type="text/plain")
        self._store.add_spans(parse_spans(sent.resource_spans))
        return Response(b"" if media == PROTOBUF else b"{}", media_type=media)


async def _read_body(request: Request) -> bytes:
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > MAX_BODY_BYTES:
            raise OtlpRequestError(413, "more than 4 MiB")
    return bytes(read)


def decompress(body: bytes, encoding: str) -> bytes:
    """The body without its gzip. Raises Refused, also for one that would unfold to more than MAX_BODY."""
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise OtlpRequestError(415, "gzip or nothing is taken")
    unzip = zlib.decompressobj(wbits=31)
    try:
        found = unzip.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise OtlpRequestError(400, "not gzip") from error
    if len(found) > MAX_BODY_BYTES:
        raise OtlpRequestError(413, "more than 4 MiB")
    return found


def parse_protobuf(body: bytes) -> ExportTraceServiceRequest:
    """A batch in protobuf. Raises Refused."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise OtlpRequestError(400, "not an ExportTraceServiceRequest") from error


def parse_json(body: bytes) -> ExportTraceServiceRequest:
    """A batch in OTLP's JSON, whose ids are hexadecimal where protobuf's JSON has base64. Raises Refused."""
    try:
        return ParseDict(
            json.loads(body, object_hook=_encode_ids_as_base64), ExportTraceServiceRequest(), ignore_unknown_fields=True
        )
    except (ParseError, ValueError, RecursionError) as error:
        raise OtlpRequestError(400, "not an ExportTraceServiceRequest") from error


def _encode_ids_as_base64(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode() if key in _ID_FIELDS and isinstance(value, str) else value
        for key, value in fields.items()
    }
