"""Streams of requests between stub and servicer: results, errors of either side, deadlines and shutdown."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rpc.server import RpcServer
from tests import sample
from tests.sidecar_hop import AnyChannel, SidecarHop, open_channel, running_sidecar_hop

MESSAGES, MODULE = sample.install()
from generated.proto.sample.v1 import (  # noqa: E402
    AccumulateRequest,
    AccumulateResponse,
    AddRequest,
    AddResponse,
)
from generated.proto.sample.v1.rpc import StreamServicer, StreamStub  # noqa: E402

REJECTED, CRASH = 13, 14


class Sums(StreamServicer):
    """Servicer that rejects the number 13 and crashes at 14."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.received_one = asyncio.Event()
        self.ended = asyncio.Event()

    def receive(self, number: int) -> int:
        if number == REJECTED:
            raise ApiError(Reason.TOTAL_MISMATCH)
        if number == CRASH:
            raise RuntimeError("a secret")
        self.received.append(number)
        self.received_one.set()
        return sum(self.received)

    async def add(self, requests: AsyncIterator[AddRequest]) -> AddResponse:
        try:
            async for request in requests:
                self.receive(request.number)
            return AddResponse(sum=sum(self.received))
        finally:
            self.ended.set()

    async def accumulate(self, requests: AsyncIterator[AccumulateRequest]) -> AsyncIterator[AccumulateResponse]:
        try:
            async for request in requests:
                yield AccumulateResponse(sum=self.receive(request.number))
        finally:
            self.ended.set()


@asynccontextmanager
async def serve(hop: SidecarHop, transport: str, servicer: Sums) -> AsyncIterator[tuple[RpcServer, AnyChannel]]:
    server = RpcServer(hop.service_socket, [servicer])
    await server.start()
    async with open_channel(hop, transport) as channel:
        yield server, channel
    await server.stop(grace_s=0, drain_notice_s=0)


@pytest.fixture(scope="module")
def hop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarHop]:
    with running_sidecar_hop(tmp_path_factory.mktemp("hop")) as hop:
        yield hop


@pytest.fixture(params=["grpc", "sidecars"])
def transport(request: pytest.FixtureRequest) -> str:
    transport: str = request.param
    return transport


@pytest.fixture
def servicer() -> Sums:
    return Sums()


@pytest.fixture
async def channel(hop: SidecarHop, transport: str, servicer: Sums) -> AsyncIterator[AnyChannel]:
    async with serve(hop, transport, servicer) as (_, channel):
        yield channel


@pytest.fixture
def stub(channel: AnyChannel) -> StreamStub:
    return StreamStub(channel)


async def send(message: Any, *numbers: int, hang: bool = False) -> AsyncIterator[Any]:
    for number in numbers:
        yield message(number=number)
    if hang:
        await asyncio.Event().wait()


async def send_one_and_fail(message: Any, servicer: Sums) -> AsyncIterator[Any]:
    """Fail once the servicer has received a message: a call that is cancelled earlier never starts its method."""
    yield message(number=1)
    await asyncio.wait_for(servicer.received_one.wait(), 5)
    raise ValueError("no number")


async def test_client_stream_has_one_response(stub: StreamStub, servicer: Sums) -> None:
    assert (await stub.add(send(AddRequest, *range(10)))).sum == 45
    assert servicer.received == list(range(10))


async def test_bidi_stream_answers_each_request(stub: StreamStub) -> None:
    assert [each.sum async for each in stub.accumulate(send(AccumulateRequest, 1, 2, 3))] == [1, 3, 6]
    assert [each.sum async for each in stub.accumulate(send(AccumulateRequest))] == []


@pytest.mark.parametrize(
    ("number", "reason"), [(REJECTED, Reason.TOTAL_MISMATCH), (CRASH, Reason.INTERNAL)], ids=["rejected", "crash"]
)
async def test_error_of_servicer_is_raised_by_stub(stub: StreamStub, number: int, reason: Reason) -> None:
    with pytest.raises(ApiError) as of_client_stream:
        await stub.add(send(AddRequest, 1, number, hang=True))
    with pytest.raises(ApiError) as of_bidi_stream:
        [_ async for _ in stub.accumulate(send(AccumulateRequest, 1, number, hang=True))]
    assert (of_client_stream.value.reason, of_bidi_stream.value.reason) == (reason, reason)


async def test_error_of_requests_is_raised_and_cancels_call(stub: StreamStub, servicer: Sums) -> None:
    with pytest.raises(ValueError, match="no number"):
        await stub.add(send_one_and_fail(AddRequest, servicer))
    await asyncio.wait_for(servicer.ended.wait(), 5)

    servicer.received_one.clear()
    servicer.ended.clear()
    with pytest.raises(ValueError, match="no number"):
        [_ async for _ in stub.accumulate(send_one_and_fail(AccumulateRequest, servicer))]
    await asyncio.wait_for(servicer.ended.wait(), 5)


async def test_cancelled_call_ends_method_of_servicer(stub: StreamStub, servicer: Sums) -> None:
    task = asyncio.create_task(stub.add(send(AddRequest, 1, hang=True)))
    await asyncio.wait_for(servicer.received_one.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(servicer.ended.wait(), 5)


async def test_closing_bidi_stream_cancels_call(stub: StreamStub, servicer: Sums) -> None:
    responses: Any = stub.accumulate(send(AccumulateRequest, 1, hang=True))
    assert (await anext(responses)).sum == 1
    await responses.aclose()
    await asyncio.wait_for(servicer.ended.wait(), 5)


async def test_deadline_ends_streams(stub: StreamStub, servicer: Sums) -> None:
    with pytest.raises(ApiError) as of_client_stream:
        await stub.add(send(AddRequest, 1, hang=True), timeout=0.2)
    with pytest.raises(ApiError) as of_bidi_stream:
        [_ async for _ in stub.accumulate(send(AccumulateRequest, 1, hang=True), timeout=0.2)]
    assert of_client_stream.value.reason is of_bidi_stream.value.reason is Reason.UPSTREAM_TIMEOUT
    await asyncio.wait_for(servicer.ended.wait(), 5)


async def test_malformed_request_returns_invalid_argument(channel: AnyChannel) -> None:
    calls: dict[str, Any] = {"Add": channel.stream_unary, "Accumulate": channel.stream_stream}
    for name, open_call in calls.items():
        call = open_call(f"/sample.v1.StreamService/{name}")(iter([b"\x08\xff"]))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await (call if name == "Add" else call.read())
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert raised.value.details() == f"malformed {name}Request"


@pytest.mark.parametrize("transport", ["grpc"], indirect=True)
async def test_shutdown_ends_open_streams(hop: SidecarHop, transport: str, servicer: Sums) -> None:
    async with serve(hop, transport, servicer) as (server, channel):
        stub = StreamStub(channel)
        task = asyncio.create_task(stub.add(send(AddRequest, 1, hang=True)))
        await asyncio.wait_for(servicer.received_one.wait(), 5)
        responses: Any = stub.accumulate(send(AccumulateRequest, 1, hang=True))
        await anext(responses)
        async with asyncio.timeout(5):
            await server.stop(grace_s=60, drain_notice_s=0)
        with pytest.raises(ApiError) as of_client_stream:
            await task
        with pytest.raises(ApiError) as of_bidi_stream:
            await anext(responses)
    assert of_client_stream.value.reason is of_bidi_stream.value.reason is Reason.UPSTREAM_UNAVAILABLE
