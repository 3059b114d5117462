"""Handlers of a servicer: decoding, validation, identity, deadlines and errors, with a fake call context."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, ClassVar, NoReturn, cast

import grpc
import grpc.aio
import pytest
from google.protobuf.message import DecodeError

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import WatchOrderRequest, WatchOrderResponse
from generated.proto.delivery.orders.v1.rpc import WATCH_ORDER
from generated.proto.delivery.partners.v1 import (
    ListCatalogRequest,
    ListCatalogResponse,
    SetProductPictureRequest,
    SetProductPictureResponse,
)
from generated.proto.delivery.partners.v1.rpc import LIST_CATALOG, SET_PRODUCT_PICTURE
from services.runtime.core import pagination
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PageTokenSigner
from services.runtime.core.principal import PAYLOAD_HEADER, Principal, current_token
from services.runtime.rpc import error_status
from services.runtime.rpc.codec import PreEncoded, get_codec
from services.runtime.rpc.deadline import compute_effective_timeout_s
from services.runtime.rpc.servicer import Servicer
from services.runtime.rpc.streams import ServerStreams

PAYLOAD = base64.urlsafe_b64encode(json.dumps({"sub": "u1", "exp": 2_000_000_000}).encode()).decode().rstrip("=")
SIGNER = PageTokenSigner(["key"])
IDENTITY = {PAYLOAD_HEADER: PAYLOAD, "authorization": "Bearer a.b.c"}


class FakeContext:
    """Context of one call, which stores the status of an aborted call."""

    def __init__(self, metadata: dict[str, str] | None = None, remaining_s: float | None = None) -> None:
        self._metadata = tuple((metadata or {}).items())
        self._remaining_s = remaining_s
        self.status: tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]] | None = None

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def time_remaining(self) -> float | None:
        return self._remaining_s

    async def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: tuple[tuple[str, bytes], ...] = ()
    ) -> NoReturn:
        self.status = code, details, trailing_metadata
        raise grpc.aio.AbortError

    @property
    def error(self) -> ApiError:
        """Return the error that the caller's stub raises."""
        assert self.status is not None, "the call was not aborted"
        code, details, trailers = self.status
        call_error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details)
        return error_status.parse_call_error(call_error)


class ExampleServicer(Servicer):
    """Servicer with one method of each kind, which records its arguments."""

    SERVICE = "test.v1.TestService"
    METHODS = (LIST_CATALOG, SET_PRODUCT_PICTURE, WATCH_ORDER)
    FIELD_POINTERS: ClassVar = {"ttl_s": "/preferences/ttl_s"}

    def __init__(self, error: Exception | None = None, response: Any = None) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.timeouts: list[float | None] = []
        self._error = error
        self._response = response

    def _record(self, *arguments: Any) -> None:
        self.calls.append(arguments)
        self.timeouts.append(compute_effective_timeout_s())
        if self._error is not None:
            raise self._error

    async def list_catalog(self, request: ListCatalogRequest) -> Any:
        self._record(request)
        return self._response or ListCatalogResponse()

    async def set_product_picture(self, request: SetProductPictureRequest, principal: Principal) -> Any:
        self._record(request, principal, current_token.get())
        return SetProductPictureResponse()

    async def watch_order(self, request: WatchOrderRequest, principal: Principal) -> AsyncIterator[WatchOrderResponse]:
        yield WatchOrderResponse()
        self._record(request, principal)
        yield WatchOrderResponse()


async def call(servicer: ExampleServicer, name: str, context: FakeContext, data: bytes = b"") -> bytes:
    handler: Any = servicer.build_handlers(ServerStreams(), SIGNER)[name]
    return cast(bytes, await handler.unary_unary(data, context))


async def call_and_get_error(servicer: ExampleServicer, name: str, context: FakeContext, data: bytes = b"") -> ApiError:
    with pytest.raises(grpc.aio.AbortError):
        await call(servicer, name, context, data)
    return context.error


async def test_message_is_decoded_and_response_encoded() -> None:
    servicer = ExampleServicer(response=ListCatalogResponse())
    data = get_codec().encode(ListCatalogRequest(page_size=7, q="soup"))
    response = await call(servicer, "ListCatalog", FakeContext(), data)
    assert servicer.calls == [(ListCatalogRequest(page_size=7, q="soup"),)]
    assert get_codec().decode(ListCatalogResponse, response) == ListCatalogResponse(next_page_token=None)


async def test_page_tokens_are_signed_for_callers_and_verified() -> None:
    servicer = ExampleServicer(response=ListCatalogResponse(next_page_token="dG9rZW4"))
    response = get_codec().decode(ListCatalogResponse, await call(servicer, "ListCatalog", FakeContext()))
    assert response.next_page_token == SIGNER.sign(LIST_CATALOG.path, "dG9rZW4")
    data = get_codec().encode(ListCatalogRequest(page_token=response.next_page_token or ""))
    await call(servicer, "ListCatalog", FakeContext(), data)
    assert [request.page_token for (request,) in servicer.calls] == ["", "dG9rZW4"]


async def test_page_token_of_encoded_response_is_signed() -> None:
    encoded = get_codec().encode_fields(
        ListCatalogResponse, items=[{"id": 7, "title": "Bowl"}], next_page_token="dG9rZW4"
    )
    data = await call(ExampleServicer(response=encoded), "ListCatalog", FakeContext())
    response = get_codec().decode(ListCatalogResponse, data)
    assert [(partner.id, partner.title) for partner in response.items] == [(7, "Bowl")]
    assert response.next_page_token == SIGNER.sign(LIST_CATALOG.path, "dG9rZW4")


async def test_page_token_made_by_caller_is_rejected() -> None:
    servicer = ExampleServicer()
    forged = pagination.encode_page_token(["0001-01-01T00:00:00+14:00", "x"])
    other = SIGNER.sign("/delivery.orders.v1.OrdersService/ListOrders", forged)
    for token in (forged, other, PageTokenSigner(["other key"]).sign(LIST_CATALOG.path, forged)):
        data = get_codec().encode(ListCatalogRequest(page_token=token))
        error = await call_and_get_error(servicer, "ListCatalog", FakeContext(), data)
        assert (error.reason, [each.field for each in error.errors]) == (Reason.INVALID_REQUEST, ["page_token"])
    assert servicer.calls == []


def test_method_with_page_tokens_needs_signer() -> None:
    with pytest.raises(TypeError, match="ListCatalog needs a signer"):
        ExampleServicer().build_handlers(ServerStreams())


async def test_encoded_response_is_sent_unchanged() -> None:
    servicer = ExampleServicer(response=PreEncoded[ListCatalogResponse](b"encoded"))
    assert await call(servicer, "ListCatalog", FakeContext()) == b"encoded"


async def test_malformed_message_is_rejected_without_details_of_the_parser() -> None:
    servicer = ExampleServicer()
    error = await call_and_get_error(servicer, "ListCatalog", FakeContext(), b"\xff\xff")
    assert (error.reason, error.detail) == (Reason.INVALID_REQUEST, "malformed ListCatalogRequest")
    assert servicer.calls == []


@pytest.mark.parametrize(("requested", "received"), [(0, DEFAULT_PAGE_SIZE), (1, 1), (MAX_PAGE_SIZE, MAX_PAGE_SIZE)])
async def test_page_size_has_a_default(requested: int, received: int) -> None:
    servicer = ExampleServicer()
    await call(servicer, "ListCatalog", FakeContext(), get_codec().encode(ListCatalogRequest(page_size=requested)))
    assert servicer.calls[0][0].page_size == received


@pytest.mark.parametrize("page_size", [-1, MAX_PAGE_SIZE + 1])
async def test_page_size_out_of_range_is_rejected(page_size: int) -> None:
    data = get_codec().encode(ListCatalogRequest(page_size=page_size))
    error = await call_and_get_error(ExampleServicer(), "ListCatalog", FakeContext(), data)
    assert [(each.field, error.reason) for each in error.errors] == [("page_size", Reason.INVALID_REQUEST)]


async def test_request_that_violates_its_constraints_is_rejected() -> None:
    data = get_codec().encode(ListCatalogRequest(q="x" * 101))
    error = await call_and_get_error(ExampleServicer(), "ListCatalog", FakeContext(), data)
    assert [each.field for each in error.errors] == ["/q"]


async def test_error_has_pointer_for_field_of_entity() -> None:
    servicer = ExampleServicer(ApiError(Reason.INVALID_REQUEST, errors=[FieldError("ttl_s", "is invalid")]))
    error = await call_and_get_error(servicer, "ListCatalog", FakeContext())
    assert list(error.errors) == [FieldError("/preferences/ttl_s", "is invalid")]


async def test_principal_and_token_are_passed_to_the_method() -> None:
    servicer = ExampleServicer()
    await call(servicer, "SetProductPicture", FakeContext(IDENTITY))
    ((_, principal, token),) = servicer.calls
    assert (principal.user_id, principal.token, token) == ("u1", "a.b.c", "a.b.c")


@pytest.mark.parametrize(
    "metadata",
    [{}, {"authorization": "Bearer a.b.c"}, IDENTITY | {PAYLOAD_HEADER: "?"}, IDENTITY | {PAYLOAD_HEADER: ""}],
)
async def test_method_with_actor_requires_verified_payload(metadata: dict[str, str]) -> None:
    servicer = ExampleServicer()
    error = await call_and_get_error(servicer, "SetProductPicture", FakeContext(metadata))
    assert error.reason is Reason.UNAUTHENTICATED
    assert servicer.calls == []


@pytest.mark.parametrize("authorization", ["", "Basic a.b.c", "a.b.c"])
async def test_other_credentials_are_not_forwarded(authorization: str) -> None:
    servicer = ExampleServicer()
    await call(servicer, "SetProductPicture", FakeContext(IDENTITY | {"authorization": authorization}))
    ((_, principal, token),) = servicer.calls
    assert (principal.token, token) == ("", None)


@pytest.mark.parametrize(("remaining_s", "expected_s"), [(None, LIST_CATALOG.timeout_s), (1.0, 1), (3600.0, 5)])
async def test_deadline_is_the_shorter_of_caller_and_contract(
    remaining_s: float | None, expected_s: float | None
) -> None:
    servicer = ExampleServicer()
    await call(servicer, "ListCatalog", FakeContext(remaining_s=remaining_s))
    assert servicer.timeouts == [pytest.approx(expected_s, abs=0.5)]


async def test_api_error_reaches_the_caller() -> None:
    raised = ApiError(Reason.PRODUCT_NOT_FOUND, "no soup", retry_after=3)
    error = await call_and_get_error(ExampleServicer(raised), "ListCatalog", FakeContext())
    assert (error.reason, error.detail, error.retry_after) == (Reason.PRODUCT_NOT_FOUND, "no soup", 3)


async def test_unexpected_error_is_logged_and_hidden_from_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    context = FakeContext()
    error = await call_and_get_error(ExampleServicer(RuntimeError("a secret")), "ListCatalog", context)
    assert error.reason is Reason.INTERNAL
    assert "secret" not in str(context.status)
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage() == f"RPC failed: {LIST_CATALOG.path}"


async def test_response_of_wrong_type_is_an_internal_error() -> None:
    context = FakeContext()
    error = await call_and_get_error(ExampleServicer(response="not a message"), "ListCatalog", context)
    assert error.reason is Reason.INTERNAL


async def test_cancellation_is_not_converted_to_an_error() -> None:
    context = FakeContext()
    servicer = ExampleServicer(cast(Exception, asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await call(servicer, "ListCatalog", context)
    assert context.status is None


async def stream(servicer: ExampleServicer, context: FakeContext, streams: ServerStreams) -> AsyncIterator[bytes]:
    handler: Any = servicer.build_handlers(streams, SIGNER)["WatchOrder"]
    data = get_codec().encode(WatchOrderRequest(order_id="o1"))
    async for message in handler.unary_stream(data, context):
        yield message


async def test_stream_sends_every_message() -> None:
    messages = [each async for each in stream(ExampleServicer(), FakeContext(IDENTITY), ServerStreams())]
    assert [get_codec().decode(WatchOrderResponse, each) for each in messages] == [WatchOrderResponse()] * 2


async def test_error_after_first_message_ends_the_stream() -> None:
    context = FakeContext(IDENTITY)
    messages = stream(ExampleServicer(ApiError(Reason.ORDER_NOT_FOUND)), context, ServerStreams())
    await anext(messages)
    with pytest.raises(grpc.aio.AbortError):
        await anext(messages)
    assert context.error.reason is Reason.ORDER_NOT_FOUND


async def test_shutdown_ends_the_stream_as_unavailable() -> None:
    context, streams = FakeContext(IDENTITY), ServerStreams()

    class HangingServicer(ExampleServicer):
        async def watch_order(self, *_: Any) -> AsyncIterator[WatchOrderResponse]:
            yield WatchOrderResponse()
            await asyncio.Event().wait()

    handler: Any = HangingServicer().build_handlers(streams, SIGNER)["WatchOrder"]
    messages = handler.unary_stream(get_codec().encode(WatchOrderRequest(order_id="o1")), context)
    await anext(messages)
    streams.close_all()
    with pytest.raises(grpc.aio.AbortError):
        await anext(messages)
    assert context.error.reason is Reason.UPSTREAM_UNAVAILABLE


def test_handlers_are_of_the_kind_of_their_methods() -> None:
    handlers = ExampleServicer().build_handlers(ServerStreams(), SIGNER)
    assert {name: handler.response_streaming for name, handler in handlers.items()} == {
        "ListCatalog": False,
        "SetProductPicture": False,
        "WatchOrder": True,
    }


def test_codec_rejects_malformed_message() -> None:
    with pytest.raises(DecodeError):
        get_codec().decode(ListCatalogRequest, b"\xff\xff")
