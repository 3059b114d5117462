"""What the generated servicers and stubs stand on: one guard around every method, one way to make a call.

A servicer's method sees messages and a principal, and says no by raising a Refusal. A stub's method takes messages, and
raises the Refusal that the other side raised. Everything between the two is here.
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
from services.runtime import metrics, spans, status
from services.runtime.bounds import Check, check
from services.runtime.codec import DecodeError, Encoded, Wire, codec
from services.runtime.durations import Timed
from services.runtime.paging import DEFAULT_SIZE, LARGEST_SIZE
from services.runtime.principal import PAYLOAD_HEADER, Principal, current_token
from services.runtime.refusal import FieldError, Refusal

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
    attempts: int
    bounds: Mapping[str, Any]
    """The JSON Schema of the request, as far as the public contract states one; empty when it does not."""

    @property
    def path(self) -> str:
        """The :path of the HTTP/2 request."""
        return f"/{self.service}/{self.name}"


class Streams:
    """The streams that a server has open, so that a shutdown can end them: they would use up the whole grace period."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Surrounds the life of one stream. Raises UPSTREAM_UNAVAILABLE when a shutdown ends it."""
        try:
            async with asyncio.timeout(None) as scope:
                self._open.add(scope)
                try:
                    yield
                finally:
                    self._open.discard(scope)
        except TimeoutError:
            if scope.expired():
                raise Refusal(Reason.UPSTREAM_UNAVAILABLE, retry_after=status.RETRY_UNAVAILABLE_S) from None
            raise

    def end(self) -> None:
        """Ends all of them, soon."""
        for scope in self._open:
            scope.reschedule(asyncio.get_running_loop().time())


class Servicer(ABC):
    """The base of the generated servicers. One whose methods are not all there cannot be instantiated."""

    SERVICE: ClassVar[str]
    METHODS: ClassVar[tuple[Method[Any, Any], ...]]

    def handlers(self, streams: Streams) -> dict[str, Handler]:
        """The guarded methods, by name."""
        return {method.name: _handler(method, getattr(self, method.attribute), streams) for method in self.METHODS}


def _handler(method: Method[Any, Any], behaviour: Callable[..., Any], streams: Streams) -> Handler:
    """Decodes inside: what gRPC's own deserializer raises would reach the caller as UNKNOWN with a parser's words."""
    encode = codec().encode
    held = check(method.bounds)
    served = metrics.SERVED.of(method.path.removeprefix("/"))

    async def unary(data: bytes, context: Context) -> bytes:
        metadata = _metadata(context)
        with spans.server_span(method.path, metadata) as span, served.timed(CANCELLED) as timed:
            try:
                found = await behaviour(*_arguments(method, held, data, metadata, context))
                answer: bytes = found.data if isinstance(found, Encoded) else encode(found)
            # The guard: whatever a method raises ends here, for nobody further out could tell the caller.
            except Exception as error:  # noqa: BLE001
                await _abort(method, error, span, timed, context)
            spans.end_server_span(span, grpc.StatusCode.OK)
            timed.outcome = OK
            return answer

    async def stream(data: bytes, context: Context) -> AsyncIterator[bytes]:
        metadata = _metadata(context)
        with spans.server_span(method.path, metadata) as span, served.timed(CANCELLED) as timed:
            try:
                async with streams.entered():
                    async for message in behaviour(*_arguments(method, held, data, metadata, context)):
                        yield encode(message)
            except Exception as error:  # noqa: BLE001
                await _abort(method, error, span, timed, context)
            spans.end_server_span(span, grpc.StatusCode.OK)
            timed.outcome = OK

    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream)
    return grpc.unary_unary_rpc_method_handler(unary)


def _metadata(context: Context) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {key: value for key, value in pairs if isinstance(value, str)}


def _arguments(
    method: Method[Any, Any], held: Check, data: bytes, metadata: Mapping[str, str], context: Context
) -> tuple[Any, ...]:
    """What the servicer's method is called with. Raises INVALID_REQUEST or UNAUTHENTICATED."""
    bounds = [seconds for seconds in (context.time_remaining(), method.timeout_s) if seconds is not None]
    current_deadline.set(time.monotonic() + min(bounds) if bounds else None)
    try:
        request = codec().decode(method.request, data)
    except DecodeError as error:
        raise Refusal(Reason.INVALID_REQUEST, f"not a {method.request.__name__}") from error
    if hasattr(request, "page_size"):
        if not 0 <= request.page_size <= LARGEST_SIZE:
            message = f"is not between 0 and {LARGEST_SIZE}"
            raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError("page_size", message)])
        request.page_size = request.page_size or DEFAULT_SIZE
    held(request)
    return (request, _principal(metadata)) if method.actor_required else (request,)


def _principal(metadata: Mapping[str, str]) -> Principal:
    """The user that the sidecar has verified; the token is kept for onward calls."""
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    token = token if scheme.lower() == "bearer" else ""
    try:
        principal = Principal.from_payload(metadata[PAYLOAD_HEADER], token)
    except (KeyError, ValueError) as error:
        raise Refusal(Reason.UNAUTHENTICATED) from error
    current_token.set(token or None)
    return principal


async def _abort(method: Method[Any, Any], error: Exception, span: Span, timed: Timed, context: Context) -> NoReturn:
    """Ends the call with the refusal. What is none is our mistake: the log explains it, the caller only hears of it."""
    if isinstance(error, Refusal):
        refusal = error
    else:
        log.error("%s failed", method.path, exc_info=error)
        span.record_exception(error)
        refusal = Refusal(Reason.INTERNAL)
    code = status.code_of(refusal)
    spans.end_server_span(span, code)
    timed.outcome = code.name
    await context.abort(code, refusal.detail, status.trailers_of(refusal))


class Stub:
    """The base of the generated stubs. Its methods raise Refusal, and nothing else when a call fails."""

    METHODS: ClassVar[tuple[Method[Any, Any], ...]]

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._unary: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {
            method.path: channel.unary_unary(method.path) for method in self.METHODS if not method.server_streaming
        }
        self._stream: dict[str, grpc.aio.UnaryStreamMultiCallable[bytes, bytes]] = {
            method.path: channel.unary_stream(method.path) for method in self.METHODS if method.server_streaming
        }
        self._called = {method.path: metrics.CALLED.of(method.path.removeprefix("/")) for method in self.METHODS}

    async def unary[Request: Message, Response: Message](
        self, method: Method[Request, Response], request: Request, timeout_s: float | None
    ) -> Response:
        """Makes a call. `timeout_s` can only shorten what the contract allows."""
        return await self.page(method, request, codec().reader(method.response), timeout_s)

    async def page[Page](
        self, method: Method[Any, Any], request: Message, read: Callable[[Wire], Page], timeout_s: float | None
    ) -> Page:
        """The same, for answers that are read straight off the wire."""
        metadata = _outgoing_metadata(method)
        with spans.client_span(method.path, metadata) as span, self._called[method.path].timed(CANCELLED) as timed:
            try:
                data = await self._unary[method.path](
                    codec().encode(request),
                    timeout=_timeout(method, timeout_s),
                    metadata=grpc.aio.Metadata(*metadata.items()),
                )
                found = codec().read(method.response, data, read)
            except (grpc.aio.AioRpcError, DecodeError) as error:
                raise _refused(error, span, timed) from error
            spans.end_client_span(span, grpc.StatusCode.OK)
            timed.outcome = OK
            return found

    async def stream[Request: Message, Response: Message](
        self, method: Method[Request, Response], request: Request, timeout_s: float | None
    ) -> AsyncIterator[Response]:
        """Makes a call that is answered bit by bit. Closing the iterator cancels it."""
        metadata = _outgoing_metadata(method)
        with spans.client_span(method.path, metadata) as span, self._called[method.path].timed(CANCELLED) as timed:
            call = self._stream[method.path](
                codec().encode(request),
                timeout=_timeout(method, timeout_s),
                metadata=grpc.aio.Metadata(*metadata.items()),
            )
            try:
                async for data in call:
                    yield codec().decode(method.response, data)
            except (grpc.aio.AioRpcError, DecodeError) as error:
                raise _refused(error, span, timed) from error
            finally:
                call.cancel()
            spans.end_client_span(span, grpc.StatusCode.OK)
            timed.outcome = OK


def _outgoing_metadata(method: Method[Any, Any]) -> dict[str, str]:
    token = current_token.get() if method.actor_required else None
    return {"authorization": f"Bearer {token}"} if token else {}


def _timeout(method: Method[Any, Any], asked: float | None) -> float | None:
    """The shortest of what is asked for, what the contract allows, and what is left of the call being served."""
    deadline = current_deadline.get()
    left = None if deadline is None else deadline - time.monotonic()
    bounds = [seconds for seconds in (asked, method.timeout_s, left) if seconds is not None]
    return max(0.0, min(bounds)) if bounds else None


def _refused(error: grpc.aio.AioRpcError | DecodeError, span: Span, timed: Timed) -> Refusal:
    """The refusal for a failed call, which the span and the measurement are told of."""
    code = grpc.StatusCode.INTERNAL if isinstance(error, DecodeError) else error.code()
    spans.end_client_span(span, code)
    timed.outcome = code.name
    if isinstance(error, DecodeError):
        return Refusal(Reason.UPSTREAM_ERROR)
    return status.refusal_from(error)
