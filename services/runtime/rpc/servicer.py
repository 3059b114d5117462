"""Base class of the generated servicers, which decodes, authenticates, validates and traces every call.

A servicer's method receives a message and a principal, and rejects a call by raising ApiError.
"""

import logging
from abc import ABC
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, NoReturn

import grpc
import grpc.aio
from opentelemetry.trace import Span

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PageTokenSigner
from services.runtime.core.principal import PAYLOAD_HEADER, Principal, current_token
from services.runtime.rpc import error_status
from services.runtime.rpc.codec import DecodeError, PreEncoded, get_codec
from services.runtime.rpc.deadline import set_deadline_after
from services.runtime.rpc.field_pointers import FieldPointers, resolve_pointers
from services.runtime.rpc.method import Method
from services.runtime.rpc.request_validation import RequestValidator, build_validator
from services.runtime.rpc.streams import ServerStreams
from services.runtime.sidecar.grpc_messages import StatusError
from services.runtime.sidecar.unary_app import UnaryHandler
from services.runtime.telemetry import rpc_metrics, rpc_spans
from services.runtime.telemetry.histograms import Timer

log = logging.getLogger(__name__)

OK, CANCELLED = grpc.StatusCode.OK.name, grpc.StatusCode.CANCELLED.name

type Context = grpc.aio.ServicerContext[bytes, bytes]
type Handler = grpc.RpcMethodHandler[bytes, bytes]
type Incoming = bytes | AsyncIterator[bytes]
"""One request, or the requests of a stream."""

type Call = Callable[[Any, Mapping[str, str], float | None], Awaitable[bytes]]
"""Function of a method with one response: takes Incoming, the metadata and the timeout in seconds."""

_HANDLER_FACTORIES: Mapping[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
"""By whether the requests and the responses are streams."""


class Servicer(ABC):
    """Abstract base of the generated servicers. A subclass must implement every method to be instantiated."""

    SERVICE: ClassVar[str]
    METHODS: ClassVar[tuple[Method[Any, Any], ...]]
    FIELD_POINTERS: ClassVar[FieldPointers] = {}

    def build_handlers(self, streams: ServerStreams, page_tokens: PageTokenSigner | None = None) -> dict[str, Handler]:
        """Return the gRPC handler of each method by its name.

        Raises TypeError for a method with page tokens when there is no signer.
        """
        return {
            method.name: _build_handler(
                method, self._sign_page_tokens(method, page_tokens), streams, self.FIELD_POINTERS
            )
            for method in self.METHODS
        }

    def build_unary_handlers(self, page_tokens: PageTokenSigner | None = None) -> dict[str, UnaryHandler]:
        """Return the handler of each unary method by its path, for calls over HTTP/1.1.

        Raises TypeError for a method with page tokens when there is no signer.
        """
        return {
            method.path: _build_call(method, self._sign_page_tokens(method, page_tokens), self.FIELD_POINTERS)
            for method in self.METHODS
            if not method.is_streaming
        }

    def _sign_page_tokens(self, method: Method[Any, Any], page_tokens: PageTokenSigner | None) -> Callable[..., Any]:
        """Return the servicer's method, which receives and returns unsigned tokens."""
        behaviour: Callable[..., Any] = getattr(self, method.attribute)
        if "page_token" not in {field.name for field in fields(method.request)}:
            return behaviour
        if page_tokens is None:
            raise TypeError(f"{method.path} needs a signer of page tokens")

        async def list_page(request: Any, *principal: Principal) -> Any:
            request.page_token = page_tokens.verify(method.path, request.page_token)
            response = await behaviour(request, *principal)
            if response.next_page_token is None:
                return response
            token = page_tokens.sign(method.path, response.next_page_token)
            if isinstance(response, PreEncoded):
                return get_codec().extend(response.data, method.response(next_page_token=token))
            response.next_page_token = token
            return response

        return list_page


def _build_handler(
    method: Method[Any, Any], behaviour: Callable[..., Any], streams: ServerStreams, pointers: FieldPointers
) -> Handler:
    """Return the gRPC handler of a method, which receives and returns raw bytes."""
    if method.server_streaming:
        handle = _build_stream_handler(method, behaviour, streams, pointers)
    else:
        if method.client_streaming:
            behaviour = _end_on_shutdown(behaviour, streams)
        handle = _wrap_call(_build_call(method, behaviour, pointers))
    handler: Handler = _HANDLER_FACTORIES[method.client_streaming, method.server_streaming](handle)
    return handler


def _wrap_call(call: Call) -> Callable[[Incoming, Context], Any]:
    """Return the gRPC handler of a method with one response."""

    async def handle(data: Incoming, context: Context) -> bytes:
        try:
            return await call(data, _read_metadata(context), context.time_remaining())
        except StatusError as error:
            await _abort(context, error)

    return handle


def _build_call(method: Method[Any, Any], behaviour: Callable[..., Any], pointers: FieldPointers) -> Call:
    """Return the function that takes the encoded request or requests, and returns the encoded response.

    It decodes the request itself, as gRPC reports an error of its deserializer as UNKNOWN with the parser's message.
    """
    encode = get_codec().encode
    validate = build_validator(method.constraints)
    histogram = rpc_metrics.bind_duration(rpc_metrics.SERVER_DURATION, method.path)

    async def call(data: Incoming, metadata: Mapping[str, str], timeout_s: float | None) -> bytes:
        with rpc_spans.start_server_span(method.path, metadata) as span, histogram.start_timer(CANCELLED) as timer:
            try:
                result = await behaviour(*_build_arguments(method, validate, data, metadata, timeout_s))
                response: bytes = result.data if isinstance(result, PreEncoded) else encode(result)
            # Outermost handler: every exception becomes a gRPC status.
            except Exception as error:
                raise _record_error(method, error, pointers, span, timer) from error
            rpc_spans.end_server_span(span, grpc.StatusCode.OK)
            timer.outcome = OK
            return response

    return call


def _build_stream_handler(
    method: Method[Any, Any], behaviour: Callable[..., Any], streams: ServerStreams, pointers: FieldPointers
) -> Callable[[Incoming, Context], Any]:
    """Return the handler of a method that streams responses."""
    encode = get_codec().encode
    validate = build_validator(method.constraints)
    histogram = rpc_metrics.bind_duration(rpc_metrics.SERVER_DURATION, method.path)

    async def handle(data: Incoming, context: Context) -> AsyncIterator[bytes]:
        metadata = _read_metadata(context)
        with rpc_spans.start_server_span(method.path, metadata) as span, histogram.start_timer(CANCELLED) as timer:
            try:
                async with streams.track():
                    arguments = _build_arguments(method, validate, data, metadata, context.time_remaining())
                    async for message in behaviour(*arguments):
                        yield encode(message)
            except Exception as error:  # noqa: BLE001
                await _abort(context, _record_error(method, error, pointers, span, timer))
            rpc_spans.end_server_span(span, grpc.StatusCode.OK)
            timer.outcome = OK

    return handle


def _end_on_shutdown(behaviour: Callable[..., Any], streams: ServerStreams) -> Callable[..., Any]:
    """Return the method of a stream of requests, which a shutdown ends."""

    async def receive(*arguments: Any) -> Any:
        async with streams.track():
            return await behaviour(*arguments)

    return receive


def _read_metadata(context: Context) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {key: value for key, value in pairs if isinstance(value, str)}


def _build_arguments(
    method: Method[Any, Any],
    validate: RequestValidator,
    data: Incoming,
    metadata: Mapping[str, str],
    timeout_s: float | None,
) -> tuple[Any, ...]:
    """Return the arguments of the servicer's method, and set the current deadline.

    Raises ApiError: INVALID_REQUEST, UNAUTHENTICATED.
    """
    set_deadline_after(timeout_s, method.timeout_s)
    request = (
        _decode_request(method, validate, data) if isinstance(data, bytes) else _decode_stream(method, validate, data)
    )
    return (request, _parse_principal(metadata)) if method.actor_required else (request,)


async def _decode_stream(
    method: Method[Any, Any], validate: RequestValidator, requests: AsyncIterator[bytes]
) -> AsyncIterator[Any]:
    """Return the decoded requests of a stream.

    Raises ApiError: INVALID_REQUEST.
    """
    async for data in requests:
        yield _decode_request(method, validate, data)


def _decode_request(method: Method[Any, Any], validate: RequestValidator, data: bytes) -> Any:
    """Return the valid request.

    Raises ApiError: INVALID_REQUEST.
    """
    try:
        request = get_codec().decode(method.request, data)
    except DecodeError as error:
        raise ApiError(Reason.INVALID_REQUEST, f"malformed {method.request.__name__}") from error
    if hasattr(request, "page_size"):
        if not 0 <= request.page_size <= MAX_PAGE_SIZE:
            message = f"is not between 0 and {MAX_PAGE_SIZE}"
            raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("page_size", message)])
        request.page_size = request.page_size or DEFAULT_PAGE_SIZE
    validate(request)
    return request


def _parse_principal(metadata: Mapping[str, str]) -> Principal:
    """Return the principal that the sidecar has verified, and store its token for outgoing calls."""
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    token = token if scheme.lower() == "bearer" else ""
    try:
        principal = Principal.from_payload(metadata[PAYLOAD_HEADER], token)
    except (KeyError, ValueError) as error:
        raise ApiError(Reason.UNAUTHENTICATED) from error
    current_token.set(token or None)
    return principal


def _record_error(
    method: Method[Any, Any], error: Exception, pointers: FieldPointers, span: Span, timer: Timer[str]
) -> StatusError:
    """Return the status of a failed call, and record it. An unexpected error is logged and reported as INTERNAL."""
    if isinstance(error, ApiError):
        api_error = resolve_pointers(error, pointers)
    else:
        log.error("RPC failed: %s", method.path, exc_info=error)
        span.record_exception(error)
        api_error = ApiError(Reason.INTERNAL)
    status = error_status.build_status(api_error)
    rpc_spans.end_server_span(span, status.code)
    timer.outcome = status.code.name
    return StatusError(status.code, status.details, status.trailing_metadata)


async def _abort(context: Context, error: StatusError) -> NoReturn:
    await context.abort(error.code, error.details, error.trailing_metadata)
