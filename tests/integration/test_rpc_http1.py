"""Unary calls over HTTP/1.1 through both sidecars: cancellation, deadlines, shutdown, sizes, and callers with gRPC."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.principal import Principal
from services.runtime.rpc.server import RpcServer
from services.runtime.sidecar.grpc_messages import MAX_MESSAGE_BYTES
from tests import sample
from tests.sidecar_hop import AnyChannel, SidecarHop, open_channel, running_sidecar_hop

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

ERROR = ApiError(Reason.TOTAL_MISMATCH, "the total is 300", errors=(FieldError("/total_amount", "ü"),), retry_after=7)
CONCURRENT_CALLS = 100
MANY_ERRORS = [FieldError(f"/items/{number}", "x" * 100) for number in range(200)]
"""Details of 30 KB, more than gRPC permits as metadata by default."""


class Echo(EchoServicer):
    """Servicer whose behaviour is selected by the request's text: `reject`, `explain`, `large` or `wait`."""

    def __init__(self) -> None:
        self.entered, self.proceed, self.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def echo(self, request: EchoRequest) -> EchoResponse:
        match request.text:
            case "reject":
                raise ERROR
            case "explain":
                raise ApiError(Reason.INVALID_REQUEST, errors=MANY_ERRORS)
            case "large":
                return EchoResponse(text="x" * MAX_MESSAGE_BYTES)
            case "wait":
                await self.wait()
        return EchoResponse(text=request.text)

    async def wait(self) -> None:
        self.entered.set()
        try:
            await self.proceed.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def who_am_i(self, request: WhoAmIRequest, principal: Principal) -> WhoAmIResponse:
        raise NotImplementedError

    async def count(self, request: CountRequest) -> AsyncIterator[CountResponse]:
        raise NotImplementedError
        yield CountResponse()


@pytest.fixture(scope="module")
def hop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarHop]:
    with running_sidecar_hop(tmp_path_factory.mktemp("hop")) as hop:
        yield hop


@pytest.fixture
def servicer() -> Echo:
    return Echo()


@pytest.fixture
async def server(hop: SidecarHop, servicer: Echo) -> AsyncIterator[RpcServer]:
    server = RpcServer(hop.service_socket, [servicer])
    await server.start()
    yield server
    await server.stop(grace_s=0, drain_notice_s=0)


@pytest.fixture
async def channel(hop: SidecarHop, server: RpcServer) -> AsyncIterator[AnyChannel]:
    async with open_channel(hop, "sidecars") as channel:
        yield channel


@pytest.fixture
def stub(channel: AnyChannel) -> EchoStub:
    return EchoStub(channel)


def get_code(error: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> grpc.StatusCode:
    return error.value.code()


async def test_cancelled_call_cancels_method_of_servicer(stub: EchoStub, servicer: Echo) -> None:
    task = asyncio.create_task(stub.echo(EchoRequest(text="wait")))
    await asyncio.wait_for(servicer.entered.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(servicer.cancelled.wait(), 2)  # before the deadline of the contract, after 2.5 s
    assert (await stub.echo(EchoRequest(text="next"))).text == "next"


async def test_deadline_cancels_method_of_servicer(stub: EchoStub, servicer: Echo) -> None:
    with pytest.raises(ApiError) as raised:
        await stub.echo(EchoRequest(text="wait"), timeout=0.2)
    assert raised.value.reason is Reason.UPSTREAM_TIMEOUT
    await asyncio.wait_for(servicer.cancelled.wait(), 5)


async def test_shutdown_completes_running_call(hop: SidecarHop, servicer: Echo) -> None:
    server = RpcServer(hop.service_socket, [servicer])
    await server.start()
    async with open_channel(hop, "sidecars") as channel:
        task = asyncio.create_task(EchoStub(channel).echo(EchoRequest(text="wait")))
        await asyncio.wait_for(servicer.entered.wait(), 5)
        stop_task = asyncio.create_task(server.stop(grace_s=5, drain_notice_s=0))
        asyncio.get_running_loop().call_later(0.1, servicer.proceed.set)
        assert (await task).text == "wait"
        await asyncio.wait_for(stop_task, 5)


async def test_call_that_outlasts_shutdown_raises_upstream_unavailable(hop: SidecarHop, servicer: Echo) -> None:
    server = RpcServer(hop.service_socket, [servicer])
    await server.start()
    async with open_channel(hop, "sidecars") as channel:
        task = asyncio.create_task(EchoStub(channel).echo(EchoRequest(text="wait")))
        await asyncio.wait_for(servicer.entered.wait(), 5)
        await server.stop(grace_s=0, drain_notice_s=0)
        with pytest.raises(ApiError) as raised:
            await task
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert servicer.cancelled.is_set()


async def test_concurrent_calls_receive_their_own_responses(stub: EchoStub) -> None:
    texts = [str(number) for number in range(CONCURRENT_CALLS)]
    responses = await asyncio.gather(*(stub.echo(EchoRequest(text=text)) for text in texts))
    assert [response.text for response in responses] == texts


async def test_large_messages_are_rejected(channel: AnyChannel, stub: EchoStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as of_request:
        await channel.unary_unary(ECHO.path)(b"x" * (MAX_MESSAGE_BYTES + 1), timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as of_response:
        await channel.unary_unary(ECHO.path)(b"\x0a\x05large", timeout=5)
    assert get_code(of_request) is get_code(of_response) is grpc.StatusCode.RESOURCE_EXHAUSTED
    text = "x" * (MAX_MESSAGE_BYTES - 100)
    assert (await stub.echo(EchoRequest(text=text))).text == text


async def test_error_with_many_details_is_complete(stub: EchoStub) -> None:
    with pytest.raises(ApiError) as raised:
        await stub.echo(EchoRequest(text="explain"))
    assert raised.value.errors == tuple(MANY_ERRORS)


async def test_method_without_route_is_unimplemented(channel: AnyChannel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/sample.v1.EchoService/Nothing")(b"", timeout=5)
    assert get_code(raised) is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("compression", grpc.Compression, ids=lambda compression: compression.name)
async def test_caller_with_grpc_receives_responses_and_errors(hop: SidecarHop, compression: grpc.Compression) -> None:
    async with grpc.aio.insecure_channel(f"unix:{hop.ingress_socket}", compression=compression) as channel:
        stub = EchoStub(channel)
        text = "compressible " * 100
        assert (await stub.echo(EchoRequest(text=text))).text == text
        with pytest.raises(ApiError) as raised:
            await stub.echo(EchoRequest(text="reject"))
    assert raised.value == ERROR


@pytest.mark.usefixtures("server")
async def test_trailers_of_grpc_caller_contain_status(hop: SidecarHop) -> None:
    async with grpc.aio.insecure_channel(f"unix:{hop.ingress_socket}") as channel:
        call: Any = channel.unary_unary(ECHO.path)(b"")
        await call
        assert await call.code() is grpc.StatusCode.OK
        assert "grpc-status" not in dict(await call.initial_metadata())
