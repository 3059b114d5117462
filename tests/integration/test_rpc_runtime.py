"""Calls between stub and servicer: over gRPC, and over HTTP/1.1 through the Envoys of both sidecars."""

import asyncio
import base64
import json
import logging
import os
import signal
import socket
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_channelz.v1.channelz_pb2 import GetServersRequest
from grpc_channelz.v1.channelz_pb2_grpc import ChannelzStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.principal import PAYLOAD_HEADER, Principal, current_token
from services.runtime.rpc.deadline import current_deadline
from services.runtime.rpc.server import RpcServer, serve_rpc, wait_for_stop_signal
from services.runtime.sidecar.unix_sockets import SocketInUseError, get_unary_socket_path
from services.runtime.telemetry import rpc_spans
from tests import sample
from tests.sidecar_hop import AnyChannel, SidecarHop, open_channel, open_grpc_channel, running_sidecar_hop
from tests.wait import wait_until_async

MESSAGES, MODULE = sample.install()
from generated.proto.sample.v1 import (  # noqa: E402
    CountRequest,
    CountResponse,
    EchoRequest,
    EchoResponse,
    WhoAmIRequest,
    WhoAmIResponse,
)
from generated.proto.sample.v1.rpc import ECHO, EchoServicer, EchoStub  # noqa: E402

PAYLOAD = base64.urlsafe_b64encode(json.dumps({"sub": "user-1", "exp": 2_000_000_000}).encode()).decode().rstrip("=")
ERROR = ApiError(
    Reason.TOTAL_MISMATCH,
    "the total is 300",
    errors=(FieldError("/total_amount", "300"), FieldError("/currency", "ü")),
    retry_after=7,
    headers={"x-hint": "retry"},
)


class Echo(EchoServicer):
    """Servicer whose behaviour is selected by the request's text: `reject`, `crash` or `hang`."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.entered = asyncio.Event()

    async def echo(self, request: EchoRequest) -> EchoResponse:
        self.entered.set()
        match request.text:
            case "reject":
                raise replace(ERROR)
            case "crash":
                raise RuntimeError("a secret")
            case "hang":
                await asyncio.Event().wait()
        deadline = current_deadline.get()
        return EchoResponse(text=request.text, remaining_s=None if deadline is None else deadline - time.monotonic())

    async def who_am_i(self, request: WhoAmIRequest, principal: Principal) -> WhoAmIResponse:
        assert current_token.get() == principal.token
        return WhoAmIResponse(user_id=f"{principal.user_id} {principal.token}")

    async def count(self, request: CountRequest) -> AsyncIterator[CountResponse]:
        number = 0
        try:
            while request.until is None or number < request.until:
                number += 1
                yield CountResponse(number=number)
                if number == 3 and request.until is None:
                    await asyncio.Event().wait()
            if request.until == 2:
                raise replace(ERROR)
        finally:
            self.closed.set()


@asynccontextmanager
async def serve_echo(path: Path, servicer: EchoServicer) -> AsyncIterator[None]:
    server = RpcServer(path, [servicer])
    await server.start()
    try:
        yield
    finally:
        await server.stop(grace_s=0, drain_notice_s=0)


@pytest.fixture(scope="module")
def hop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarHop]:
    with running_sidecar_hop(tmp_path_factory.mktemp("hop")) as hop:
        yield hop


@pytest.fixture
def path(hop: SidecarHop) -> Path:
    return hop.service_socket


@pytest.fixture
def servicer() -> Echo:
    return Echo()


@pytest.fixture(params=["grpc", "sidecars"])
def transport(request: pytest.FixtureRequest) -> str:
    transport: str = request.param
    return transport


@pytest.fixture
async def channel(hop: SidecarHop, servicer: Echo, transport: str) -> AsyncIterator[AnyChannel]:
    async with serve_echo(hop.service_socket, servicer), open_channel(hop, transport) as channel:
        yield channel


@pytest.fixture
async def grpc_channel(hop: SidecarHop, servicer: Echo) -> AsyncIterator[grpc.aio.Channel]:
    async with serve_echo(hop.service_socket, servicer), open_grpc_channel(hop.service_socket) as channel:
        yield channel


@pytest.fixture
def stub(channel: AnyChannel) -> EchoStub:
    return EchoStub(channel)


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(rpc_spans, "TRACER", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


async def call_raw(channel: AnyChannel, method: str, data: bytes = b"", **metadata: str) -> bytes:
    call: Any = channel.unary_unary(f"/sample.v1.EchoService/{method}")
    pairs = [(name.replace("_", "-"), value) for name, value in metadata.items()]
    response: bytes = await call(data, metadata=grpc.aio.Metadata(*pairs), timeout=5)
    return response


async def test_unary_call_round_trip(stub: EchoStub) -> None:
    assert (await stub.echo(EchoRequest(text="héllo"))).text == "héllo"


async def test_error_details_round_trip(stub: EchoStub) -> None:
    with pytest.raises(ApiError) as raised:
        await stub.echo(EchoRequest(text="reject"))

    assert raised.value == ERROR


async def test_every_reason_round_trips(stub: EchoStub, monkeypatch: pytest.MonkeyPatch) -> None:
    for reason in Reason:
        monkeypatch.setitem(globals(), "ERROR", ApiError(reason))

        with pytest.raises(ApiError) as raised:
            await stub.echo(EchoRequest(text="reject"))

        assert raised.value == ApiError(reason)


async def test_unexpected_error_is_logged_and_hidden_from_caller(
    stub: EchoStub, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(ApiError) as raised:
        await stub.echo(EchoRequest(text="crash"))

    assert raised.value == ApiError(Reason.INTERNAL)
    assert "a secret" in caplog.text


async def test_malformed_request_returns_invalid_argument(channel: AnyChannel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call_raw(channel, "Echo", b"\x0a\xff")

    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details() == "malformed EchoRequest"


async def test_method_with_required_actor_needs_payload_header(channel: AnyChannel, stub: EchoStub) -> None:
    with pytest.raises(ApiError) as raised:
        await stub.who_am_i(WhoAmIRequest())
    assert raised.value.reason is Reason.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError) as malformed:
        await call_raw(channel, "WhoAmI", **{PAYLOAD_HEADER: "%%%"})
    assert malformed.value.code() is grpc.StatusCode.UNAUTHENTICATED

    response = await call_raw(channel, "WhoAmI", authorization="Bearer a.b.c", **{PAYLOAD_HEADER: PAYLOAD})

    assert response.endswith(b"user-1 a.b.c")


@pytest.mark.parametrize("transport", ["grpc", "egress"], indirect=True)
async def test_stub_forwards_token_only_to_methods_with_required_actor(
    hop: SidecarHop, path: Path, transport: str
) -> None:
    received: list[dict[str, str | bytes]] = []

    async def record_metadata(data: bytes, context: Any) -> bytes:
        received.append(dict(context.invocation_metadata()))
        return b""

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(record_metadata)
    server.add_registered_method_handlers("sample.v1.EchoService", {"Echo": handler, "WhoAmI": handler})
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    token = current_token.set("a.b.c")
    try:
        async with open_channel(hop, transport) as channel:
            await EchoStub(channel).echo(EchoRequest())
            await EchoStub(channel).who_am_i(WhoAmIRequest())
    finally:
        current_token.reset(token)
        await server.stop(0)

    assert ["authorization" in metadata for metadata in received] == [False, True]
    assert received[1]["authorization"] == "Bearer a.b.c"


async def test_contract_timeout_limits_deadline(stub: EchoStub) -> None:
    assert (await stub.echo(EchoRequest(), timeout=60)).remaining_s == pytest.approx(2.5, abs=0.5)
    assert (await stub.echo(EchoRequest(), timeout=1)).remaining_s == pytest.approx(1, abs=0.5)


async def test_current_deadline_limits_outgoing_call(stub: EchoStub) -> None:
    token = current_deadline.set(time.monotonic() + 1)
    try:
        assert (await stub.echo(EchoRequest())).remaining_s == pytest.approx(1, abs=0.5)
    finally:
        current_deadline.reset(token)


async def test_deadline_exceeded_raises_upstream_timeout(stub: EchoStub) -> None:
    with pytest.raises(ApiError) as raised:
        await stub.echo(EchoRequest(text="hang"), timeout=0.05)

    assert raised.value.reason is Reason.UPSTREAM_TIMEOUT


async def test_unreachable_server_raises_upstream_unavailable(hop: SidecarHop, transport: str) -> None:
    async with open_channel(hop, transport) as channel:
        with pytest.raises(ApiError) as raised:
            await EchoStub(channel).echo(EchoRequest())

    assert (raised.value.reason, raised.value.retry_after) == (Reason.UPSTREAM_UNAVAILABLE, 1)


@pytest.mark.parametrize("transport", ["grpc", "egress"], indirect=True)
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, Reason.UNAUTHENTICATED),
        (grpc.StatusCode.PERMISSION_DENIED, Reason.UPSTREAM_ERROR),
        (grpc.StatusCode.UNKNOWN, Reason.UPSTREAM_ERROR),
        (grpc.StatusCode.CANCELLED, Reason.UPSTREAM_UNAVAILABLE),
    ],
)
async def test_message_of_status_without_reason_is_dropped(
    hop: SidecarHop, path: Path, transport: str, code: grpc.StatusCode, reason: Reason
) -> None:
    async def fail(data: bytes, context: Any) -> bytes:
        await context.abort(code, "proxy error text")
        raise AssertionError

    server = grpc.aio.server()
    server.add_registered_method_handlers(ECHO.service, {"Echo": grpc.unary_unary_rpc_method_handler(fail)})
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    async with open_channel(hop, transport) as channel:
        with pytest.raises(ApiError) as raised:
            await EchoStub(channel).echo(EchoRequest())
    await server.stop(0)

    assert raised.value.reason is reason
    assert "proxy" not in raised.value.detail


async def test_stream_round_trip_with_and_without_error(stub: EchoStub) -> None:
    assert [item.number async for item in stub.count(CountRequest(until=4))] == [1, 2, 3, 4]

    with pytest.raises(ApiError) as raised:
        assert [item.number async for item in stub.count(CountRequest(until=2))] == []
    assert raised.value == ERROR


async def test_closing_stream_cancels_call(stub: EchoStub, servicer: Echo) -> None:
    stream: Any = stub.count(CountRequest())
    assert (await anext(stream)).number == 1

    await stream.aclose()

    await asyncio.wait_for(servicer.closed.wait(), 5)


async def test_shutdown_ends_streams_and_completes_calls(path: Path, servicer: Echo) -> None:
    server = RpcServer(path, [servicer])
    await server.start()
    async with open_grpc_channel(path) as channel:
        stream = EchoStub(channel).count(CountRequest())
        assert [(await anext(stream)).number for _ in range(3)] == [1, 2, 3]
        health = HealthStub(channel)  # type: ignore[no-untyped-call]
        stop_task = asyncio.create_task(server.stop(grace_s=5, drain_notice_s=0.2))
        await asyncio.sleep(0)
        response = await health.Check(HealthCheckRequest(service="sample.v1.EchoService"))
        assert response.status == HealthCheckResponse.NOT_SERVING
        assert (await EchoStub(channel).echo(EchoRequest(text="late"))).text == "late"
        started_at = time.monotonic()
        with pytest.raises(ApiError) as raised:
            await anext(stream)
        await stop_task

    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert time.monotonic() - started_at < 2
    assert not await asyncio.to_thread(path.exists)


async def test_health_reports_process_and_each_service(grpc_channel: grpc.aio.Channel) -> None:
    health = HealthStub(grpc_channel)  # type: ignore[no-untyped-call]
    for name in ("", "sample.v1.EchoService"):
        assert (await health.Check(HealthCheckRequest(service=name))).status == HealthCheckResponse.SERVING
    assert (await ChannelzStub(grpc_channel).GetServers(GetServersRequest())).server  # type: ignore[no-untyped-call]


async def reflect(channel: grpc.aio.Channel, version: str, **request: Any) -> ServerReflectionResponse:
    call: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    responses = [response async for response in call(iter([ServerReflectionRequest(**request)]))]
    assert len(responses) == 1
    response: ServerReflectionResponse = responses[0]
    return response


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_and_describes_services(grpc_channel: grpc.aio.Channel, version: str) -> None:
    listed = await reflect(grpc_channel, version, list_services="*")
    names = [service.name for service in listed.list_services_response.service]
    assert {"sample.v1.EchoService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} <= set(names)

    for symbol in ("delivery.orders.v1.OrdersService", *(name for name in names if name.startswith("grpc."))):
        described = await reflect(grpc_channel, version, file_containing_symbol=symbol)
        files = described.file_descriptor_response.file_descriptor_proto
        assert symbol.rpartition(".")[0] in [FileDescriptorProto.FromString(file).package for file in files]


@pytest.mark.usefixtures("grpc_channel")
async def test_sockets_are_accessible_to_owner_only(path: Path) -> None:
    for socket_path in (path, get_unary_socket_path(path)):
        status = await asyncio.to_thread(socket_path.stat)
        assert stat.S_IMODE(status.st_mode) == 0o600


async def test_stale_socket_is_replaced(hop: SidecarHop, path: Path, transport: str) -> None:
    for socket_path in (path, get_unary_socket_path(path)):
        with socket.socket(socket.AF_UNIX) as stale_socket:
            stale_socket.bind(str(socket_path))

    async with serve_rpc(path, [Echo()], grace_s=0, drain_notice_s=0), open_channel(hop, transport) as channel:
        assert (await EchoStub(channel).echo(EchoRequest(text="here"))).text == "here"


@pytest.mark.usefixtures("grpc_channel")
async def test_socket_in_use_is_rejected(path: Path) -> None:
    with pytest.raises(SocketInUseError, match="another process"):
        await RpcServer(path).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_wait_for_stop_signal_returns_on_signal(number: signal.Signals) -> None:
    wait_task = asyncio.create_task(wait_for_stop_signal())
    await asyncio.sleep(0)

    os.kill(os.getpid(), number)

    await asyncio.wait_for(wait_task, 5)


async def server_and_client_span(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, ReadableSpan]:
    """Return the server and client span of one call. The server span may end after the client has the response."""
    await wait_until_async(lambda: len(exporter.get_finished_spans()) >= 2, 5, 0)
    by_kind: dict[trace.SpanKind, ReadableSpan] = {span.kind: span for span in exporter.get_finished_spans()}
    return by_kind[SpanKind.SERVER], by_kind[SpanKind.CLIENT]


async def test_server_span_continues_client_trace(stub: EchoStub, exporter: InMemorySpanExporter) -> None:
    await stub.echo(EchoRequest())

    server, client = await server_and_client_span(exporter)
    assert server.name == client.name == "sample.v1.EchoService/Echo"
    assert server.parent is not None
    assert client.context is not None
    assert server.parent.span_id == client.context.span_id
    assert server.attributes is not None
    assert server.attributes["rpc.response.status_code"] == "OK"


@pytest.mark.parametrize(
    ("text", "code", "server_status"),
    [("reject", "FAILED_PRECONDITION", StatusCode.UNSET), ("crash", "INTERNAL", StatusCode.ERROR)],
)
async def test_server_span_has_error_status_for_server_errors_only(
    stub: EchoStub, exporter: InMemorySpanExporter, text: str, code: str, server_status: StatusCode
) -> None:
    with pytest.raises(ApiError):
        await stub.echo(EchoRequest(text=text))

    server, client = await server_and_client_span(exporter)
    assert server.status.status_code is server_status
    assert client.status.status_code is StatusCode.ERROR
    for span in (server, client):
        assert (span.attributes or {})["rpc.response.status_code"] == code
