"""What the generated servicers and stubs stand on: one guard around every method, one way to make a call.

A servicer's method sees messages and a principal, and says no by raising a ApiError. A stub's method takes messages, and
raises the ApiError that the other side raised. Everything between the two is here.
"""

import asyncio
import logging
import time
from abc import ABC
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, NoReturn

import grpc
import grpc.aio
from betterproto2 import Message
from opentelemetry.trace import Span

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from services.runtime.core.principal import PAYLOAD_HEADER, Principal, current_token
from services.runtime.rpc import error_status
from services.runtime.rpc.codec import DecodeError, PreEncoded, Wire, get_codec
from services.runtime.rpc.request_validation import RequestValidator, build_validator
from services.runtime.telemetry import metrics, rpc_spans
from services.runtime.telemetry.histograms import Timer

log = logging.getLogger(__name__)

current_deadline: ContextVar[float | None] = ContextVar("current_deadline", default=None)
"""When the call being served must be answered, on the clock of `time.monotonic()`. Stubs pass on what is left."""

OK, CANCELLED = grpc.StatusCode.OK.name, grpc.StatusCode.CANCELLED.name

type Context = grpc.aio.ServicerContext[bytes, bytes]
type Handler = grpc.RpcMethodHandler[bytes, bytes]


class Idempotency(Enum):
    """Whether a method may be tried again; protobuf's own option."""

    IDEMPOTENCY_UNKNOWN = 0
    NO_SIDE_EFFECTS = 1
    IDEMPOTENT = 2


@dataclass(frozen=True, slots=True)
class Method[Request: Message, Response: Message]:
    """One row of a service's table of methods, as the contract states it."""

    service: str
    name: str
    attribute: str
    """The Python method's name, in servicers and stubs."""
    request: type[Request]
    response: type[Response]
    server_streaming: bool
    idempotency: Idempotency
    callers: tuple[str, ...]
    actor_required: bool
    """Whether the servicer's method takes the principal, and the stub's method forwards the bearer token."""
    timeout_s: float | None
    """How long the whole call may take, retries included; None for a stream without an end."""
    max_attempts: int
    constraints: Mapping[str, Any]
    """The JSON Schema of the request, as far as the public contract states one; empty when it does not."""

    @property
    def path(self) -> str:
        """The :path of the HTTP/2 request."""
        return f"/{self.service}/{self.name}"


class ServerStreams:
    """The streams that a server has open, so that a shutdown can end them: they would use up the whole grace period."""

    def __init__(self) -> None:
        self._open_timeouts: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def track(self) -> AsyncIterator[None]:
        """Surrounds the life of one stream. Raises UPSTREAM_UNAVAILABLE when a shutdown ends it."""
        try:
            async with asyncio.timeout(None) as scope:
                self._open_timeouts.add(scope)
                try:
                    yield
                finally:
                    self._open_timeouts.discard(scope)
        except TimeoutError:
            if scope.expired():
                raise ApiError(
                    Reason.UPSTREAM_UNAVAILABLE, retry_after=error_status.UNAVAILABLE_RETRY_AFTER_S
                ) from None
            raise

    def close_all(self) -> None:
        """Ends all of them, soon."""
        for scope in self._open_timeouts:
            scope.reschedule(asyncio.get_running_loop().time())


class Servicer(ABC):
    """The base of the generated servicers. One whose methods are not all there cannot be instantiated."""

    SERVICE: ClassVar[str]
    METHODS: ClassVar[tuple[Method[Any, Any], ...]]

    def build_handlers(self, streams: ServerStreams) -> dict[str, Handler]:
        """The guarded methods, by name."""
        return {
            method.name: _build_handler(method, getattr(self, method.attribute), streams) for method in self.METHODS
        }


def _build_handler(method: Method[Any, Any], behaviour: Callable[..., Any], streams: ServerStreams) -> Handler:
    """Decodes inside: what gRPC's own deserializer raises would reach the caller as UNKNOWN with a parser's words."""
    encode = get_codec().encode
    held = build_validator(method.constraints)
    served = metrics.RPC_SERVER_DURATION.for_operation(method.path.removeprefix("/"))

    async def unary(data: bytes, context: Context) -> bytes:
        metadata = _read_metadata(context)
        with rpc_spans.start_server_span(method.path, metadata) as span, served.start_timer(CANCELLED) as timed:
            try:
                found = await behaviour(*_build_arguments(method, held, data, metadata, context))
                answer: bytes = found.data if isinstance(found, PreEncoded) else encode(found)
            # The guard: whatever a method raises ends here, for nobody further out could tell the caller.
            except Exception as error:  # noqa: BLE001
                await _abort_with_error(method, error, span, timed, context)
            rpc_spans.end_server_span(span, grpc.StatusCode.OK)
            timed.outcome = OK
            return answer

    async def stream(data: bytes, context: Context) -> AsyncIterator[bytes]:
        metadata = _read_metadata(context)
        with rpc_spans.start_server_span(method.path, metadata) as span, served.start_timer(CANCELLED) as timed:
            try:
                async with streams.track():
                    async for message in behaviour(*_build_arguments(method, held, data, metadata, context)):
                        yield encode(message)
            except Exception as error:  # noqa: BLE001
                await _abort_with_error(method, error, span, timed, context)
            rpc_spans.end_server_span(span, grpc.StatusCode.OK)
            timed.outcome = OK

    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream)
    return grpc.unary_unary_rpc_method_handler(unary)


def _read_metadata(context: Context) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {key: value for key, value in pairs if isinstance(value, str)}


def _build_arguments(
    method: Method[Any, Any], validate: RequestValidator, data: bytes, metadata: Mapping[str, str], context: Context
) -> tuple[Any, ...]:
    """What the servicer's method is called with. Raises INVALID_REQUEST or UNAUTHENTICATED."""
    bounds = [seconds for seconds in (context.time_remaining(), method.timeout_s) if seconds is not None]
    current_deadline.set(time.monotonic() + min(bounds) if bounds else None)
    try:
        request = get_codec().decode(method.request, data)
    except DecodeError as error:
        raise ApiError(Reason.INVALID_REQUEST, f"not a {method.request.__name__}") from error
    if hasattr(request, "page_size"):
        if not 0 <= request.page_size <= MAX_PAGE_SIZE:
            message = f"is not between 0 and {MAX_PAGE_SIZE}"
            raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("page_size", message)])
        request.page_size = request.page_size or DEFAULT_PAGE_SIZE
    validate(request)
    return (request, _parse_principal(metadata)) if method.actor_required else (request,)


def _parse_principal(metadata: Mapping[str, str]) -> Principal:
    """The user that the sidecar has verified; the token is kept for onward calls."""
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    token = token if scheme.lower() == "bearer" else ""
    try:
        principal = Principal.from_payload(metadata[PAYLOAD_HEADER], token)
    except (KeyError, ValueError) as error:
        raise ApiError(Reason.UNAUTHENTICATED) from error
    current_token.set(token or None)
    return principal


async def _abort_with_error(
    method: Method[Any, Any], error: Exception, span: Span, timer: Timer, context: Context
) -> NoReturn:
    """Ends the call with the refusal. What is none is our mistake: the log explains it, the caller only hears of it."""
    if isinstance(error, ApiError):
        refusal = error
    else:
        log.error("%s failed", method.path, exc_info=error)
        span.record_exception(error)
        refusal = ApiError(Reason.INTERNAL)
    code = error_status.get_status_code(refusal)
    rpc_spans.end_server_span(span, code)
    timer.outcome = code.name
    await context.abort(code, refusal.detail, error_status.build_trailers(refusal))


class Stub:
    """The base of the generated stubs. Its methods raise ApiError, and nothing else when a call fails."""

    METHODS: ClassVar[tuple[Method[Any, Any], ...]]

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._unary_calls: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {
            method.path: channel.unary_unary(method.path) for method in self.METHODS if not method.server_streaming
        }
        self._stream_calls: dict[str, grpc.aio.UnaryStreamMultiCallable[bytes, bytes]] = {
            method.path: channel.unary_stream(method.path) for method in self.METHODS if method.server_streaming
        }
        self._histograms = {
            method.path: metrics.RPC_CLIENT_DURATION.for_operation(method.path.removeprefix("/"))
            for method in self.METHODS
        }

    async def unary[Request: Message, Response: Message](
        self, method: Method[Request, Response], request: Request, timeout_s: float | None
    ) -> Response:
        """Makes a call. `timeout_s` can only shorten what the contract allows."""
        return await self.unary_raw(method, request, get_codec().make_reader(method.response), timeout_s)

    async def unary_raw[Page](
        self, method: Method[Any, Any], request: Message, reader: Callable[[Wire], Page], timeout_s: float | None
    ) -> Page:
        """The same, for answers that are read straight off the wire."""
        metadata = _build_metadata(method)
        with (
            rpc_spans.start_client_span(method.path, metadata) as span,
            self._histograms[method.path].start_timer(CANCELLED) as timed,
        ):
            try:
                data = await self._unary_calls[method.path](
                    get_codec().encode(request),
                    timeout=_effective_timeout_s(method, timeout_s),
                    metadata=grpc.aio.Metadata(*metadata.items()),
                )
                found = get_codec().decode_with(method.response, data, reader)
            except (grpc.aio.AioRpcError, DecodeError) as error:
                raise _map_call_error(error, span, timed) from error
            rpc_spans.end_client_span(span, grpc.StatusCode.OK)
            timed.outcome = OK
            return found

    async def stream[Request: Message, Response: Message](
        self, method: Method[Request, Response], request: Request, timeout_s: float | None
    ) -> AsyncIterator[Response]:
        """Makes a call that is answered bit by bit. Closing the iterator cancels it."""
        metadata = _build_metadata(method)
        with (
            rpc_spans.start_client_span(method.path, metadata) as span,
            self._histograms[method.path].start_timer(CANCELLED) as timed,
        ):
            call = self._stream_calls[method.path](
                get_codec().encode(request),
                timeout=_effective_timeout_s(method, timeout_s),
                metadata=grpc.aio.Metadata(*metadata.items()),
            )
            try:
                async for data in call:
                    yield get_codec().decode(method.response, data)
            except (grpc.aio.AioRpcError, DecodeError) as error:
                raise _map_call_error(error, span, timed) from error
            finally:
                call.cancel()
            rpc_spans.end_client_span(span, grpc.StatusCode.OK)
            timed.outcome = OK


def _build_metadata(method: Method[Any, Any]) -> dict[str, str]:
    token = current_token.get() if method.actor_required else None
    return {"authorization": f"Bearer {token}"} if token else {}


def _effective_timeout_s(method: Method[Any, Any], requested_s: float | None) -> float | None:
    """The shortest of what is asked for, what the contract allows, and what is left of the call being served."""
    deadline = current_deadline.get()
    left = None if deadline is None else deadline - time.monotonic()
    bounds = [seconds for seconds in (requested_s, method.timeout_s, left) if seconds is not None]
    return max(0.0, min(bounds)) if bounds else None


def _map_call_error(error: grpc.aio.AioRpcError | DecodeError, span: Span, timer: Timer) -> ApiError:
    """The refusal for a failed call, which the span and the measurement are told of."""
    code = grpc.StatusCode.INTERNAL if isinstance(error, DecodeError) else error.code()
    rpc_spans.end_client_span(span, code)
    timer.outcome = code.name
    if isinstance(error, DecodeError):
        return ApiError(Reason.UPSTREAM_ERROR)
    return error_status.parse_call_error(error)
