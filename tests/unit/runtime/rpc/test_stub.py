"""Calls of a stub: timeouts, forwarded token, errors and cancellation, with a fake channel."""

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import WatchOrderRequest, WatchOrderResponse
from generated.proto.delivery.orders.v1.rpc import WATCH_ORDER
from generated.proto.delivery.partners.v1 import (
    ListCatalogRequest,
    ListCatalogResponse,
    SetProductPictureRequest,
)
from generated.proto.delivery.partners.v1.rpc import LIST_CATALOG, SET_PRODUCT_PICTURE
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import current_token
from services.runtime.rpc import error_status
from services.runtime.rpc.codec import get_codec
from services.runtime.rpc.deadline import current_deadline, set_deadline_after
from services.runtime.rpc.stub import Stub

MALFORMED = b"\xff\xff"


class ExampleStub(Stub):
    """Stub with one method of each kind."""

    METHODS = (LIST_CATALOG, SET_PRODUCT_PICTURE, WATCH_ORDER)


class FakeStreamCall:
    """Server-streaming call, which records its cancellation."""

    def __init__(self, responses: list[bytes | Exception]) -> None:
        self._responses = responses
        self.cancelled = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for response in self._responses:
            if isinstance(response, Exception):
                raise response
            yield response

    def cancel(self) -> None:
        self.cancelled = True


class FakeChannel:
    """Channel that returns the given responses and records calls."""

    def __init__(self, *responses: bytes | Exception) -> None:
        self.responses = [*responses]
        self.calls: list[tuple[str, bytes, float | None, dict[str, str]]] = []
        self.stream_call = FakeStreamCall(self.responses)

    def _record(self, path: str, data: bytes, timeout: float | None, metadata: grpc.aio.Metadata) -> None:
        self.calls.append((path, data, timeout, dict(cast(Any, metadata))))

    def unary_unary(self, path: str) -> Callable[..., Any]:
        async def call(data: bytes, *, timeout: float | None, metadata: grpc.aio.Metadata) -> bytes:
            self._record(path, data, timeout, metadata)
            response = self.responses[0]
            if isinstance(response, Exception):
                raise response
            return response

        return call

    def unary_stream(self, path: str) -> Callable[..., Any]:
        def call(data: bytes, *, timeout: float | None, metadata: grpc.aio.Metadata) -> FakeStreamCall:
            self._record(path, data, timeout, metadata)
            return self.stream_call

        return call


def create_stub(*responses: bytes | Exception) -> tuple[ExampleStub, FakeChannel]:
    channel = FakeChannel(*responses)
    return ExampleStub(cast(grpc.aio.Channel, channel)), channel


def build_call_error(code: grpc.StatusCode, details: str = "") -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.fixture(autouse=True)
def _token() -> None:
    current_token.set("a.b.c")
    current_deadline.set(None)


async def test_request_is_encoded_and_response_decoded() -> None:
    stub, channel = create_stub(get_codec().encode(ListCatalogResponse(next_page_token="t")))
    response = await stub.call_unary(LIST_CATALOG, ListCatalogRequest(q="soup"), None)
    assert response == ListCatalogResponse(next_page_token="t")
    ((path, data, _, _),) = channel.calls
    assert path == "/delivery.partners.v1.PartnersService/ListCatalog"
    assert get_codec().decode(ListCatalogRequest, data) == ListCatalogRequest(q="soup")


async def test_reader_converts_the_message() -> None:
    stub, _ = create_stub(get_codec().encode(ListCatalogResponse(next_page_token="t")))
    token = await stub.call_unary_wire(LIST_CATALOG, ListCatalogRequest(), lambda wire: wire.next_page_token, None)
    assert token == "t"


@pytest.mark.parametrize("error", [ValueError("required field"), OverflowError("year 0")])
async def test_response_rejected_by_the_reader_is_an_upstream_error(error: Exception) -> None:
    def fail(_: Any) -> None:
        raise error

    stub, _ = create_stub(b"")
    with pytest.raises(ApiError) as raised:
        await stub.call_unary_wire(LIST_CATALOG, ListCatalogRequest(), fail, None)
    assert raised.value.reason is Reason.UPSTREAM_ERROR


async def test_malformed_response_is_an_upstream_error() -> None:
    stub, _ = create_stub(MALFORMED)
    with pytest.raises(ApiError) as raised:
        await stub.call_unary(LIST_CATALOG, ListCatalogRequest(), None)
    assert raised.value.reason is Reason.UPSTREAM_ERROR


async def test_token_is_forwarded_only_to_methods_with_actor() -> None:
    stub, channel = create_stub(b"")
    await stub.call_unary(LIST_CATALOG, ListCatalogRequest(), None)
    await stub.call_unary(SET_PRODUCT_PICTURE, SetProductPictureRequest(), None)
    current_token.set(None)
    await stub.call_unary(SET_PRODUCT_PICTURE, SetProductPictureRequest(), None)
    assert [metadata.get("authorization") for *_, metadata in channel.calls] == [None, "Bearer a.b.c", None]


@pytest.mark.parametrize(
    ("remaining_s", "timeout_s", "expected_s"),
    [(None, None, 5), (None, 2, 2), (None, 60, 5), (1, None, 1), (1, 2, 1), (-1, None, 0)],
)
async def test_timeout_is_the_shortest_of_caller_contract_and_deadline(
    remaining_s: float | None, timeout_s: float | None, expected_s: float
) -> None:
    set_deadline_after(remaining_s)
    stub, channel = create_stub(b"")
    await stub.call_unary(LIST_CATALOG, ListCatalogRequest(), timeout_s)
    assert channel.calls[0][2] == pytest.approx(expected_s, abs=0.5)


async def test_error_of_the_servicer_is_raised() -> None:
    status = error_status.build_status(ApiError(Reason.PRODUCT_NOT_FOUND, "no soup"))
    trailers = grpc.aio.Metadata(*status.trailing_metadata)
    stub, _ = create_stub(grpc.aio.AioRpcError(status.code, grpc.aio.Metadata(), trailers, status.details))
    with pytest.raises(ApiError) as raised:
        await stub.call_unary(LIST_CATALOG, ListCatalogRequest(), None)
    assert (raised.value.reason, raised.value.detail) == (Reason.PRODUCT_NOT_FOUND, "no soup")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.UPSTREAM_UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.UPSTREAM_TIMEOUT),
        (grpc.StatusCode.UNIMPLEMENTED, Reason.UPSTREAM_ERROR),
    ],
)
async def test_status_of_a_sidecar_is_raised_without_its_message(code: grpc.StatusCode, reason: Reason) -> None:
    stub, _ = create_stub(build_call_error(code, "a secret"))
    with pytest.raises(ApiError) as raised:
        await stub.call_unary(LIST_CATALOG, ListCatalogRequest(), None)
    assert raised.value.reason is reason
    assert "secret" not in raised.value.detail


def watch(stub: ExampleStub) -> AsyncIterator[WatchOrderResponse]:
    return stub.call_stream(WATCH_ORDER, WatchOrderRequest(order_id="o1"), None)


async def test_stream_yields_decoded_messages_without_timeout() -> None:
    stub, channel = create_stub(b"", b"")
    assert [response async for response in watch(stub)] == [WatchOrderResponse()] * 2
    ((path, _, timeout_s, metadata),) = channel.calls
    assert (path, timeout_s) == (WATCH_ORDER.path, None)
    assert metadata["authorization"] == "Bearer a.b.c"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (build_call_error(grpc.StatusCode.UNAVAILABLE), Reason.UPSTREAM_UNAVAILABLE),
        (MALFORMED, Reason.UPSTREAM_ERROR),
    ],
)
async def test_failed_stream_raises_after_its_messages(response: bytes | Exception, reason: Reason) -> None:
    stub, channel = create_stub(b"", response)
    messages = watch(stub)
    assert await anext(messages) == WatchOrderResponse()
    with pytest.raises(ApiError) as raised:
        await anext(messages)
    assert raised.value.reason is reason
    assert channel.stream_call.cancelled, "a malformed message leaves the call open"


@pytest.mark.parametrize(("timeout_s", "reason"), [(0, Reason.UPSTREAM_TIMEOUT), (60, Reason.UPSTREAM_ERROR)])
async def test_stream_that_is_reset_at_its_deadline_has_timed_out(timeout_s: float, reason: Reason) -> None:
    stub, _ = create_stub(b"", build_call_error(grpc.StatusCode.INTERNAL))
    messages = stub.call_stream(WATCH_ORDER, WatchOrderRequest(), timeout_s)
    assert await anext(messages) == WatchOrderResponse()
    with pytest.raises(ApiError) as raised:
        await anext(messages)
    assert raised.value.reason is reason


async def test_closing_the_iterator_cancels_the_call() -> None:
    stub, channel = create_stub(b"", b"")
    messages = cast(Any, watch(stub))
    await anext(messages)
    assert not channel.stream_call.cancelled
    await messages.aclose()
    assert channel.stream_call.cancelled
