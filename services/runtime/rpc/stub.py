"""Base class of the generated stubs, which applies timeouts, forwards the token and traces every call.

A stub's method takes a message and raises the ApiError that the servicer raised.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, ClassVar

import grpc
import grpc.aio
from betterproto2 import Message
from opentelemetry.trace import Span

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import current_token
from services.runtime.rpc import error_status
from services.runtime.rpc.channel import Channel
from services.runtime.rpc.codec import DecodeError, Wire, get_codec
from services.runtime.rpc.deadline import compute_effective_timeout_s
from services.runtime.rpc.method import Method
from services.runtime.sidecar.http1_client import UnaryCall
from services.runtime.telemetry import rpc_metrics, rpc_spans
from services.runtime.telemetry.histograms import Timer

OK, CANCELLED = grpc.StatusCode.OK.name, grpc.StatusCode.CANCELLED.name


class Stub:
    """Base of the generated stubs. Its methods raise ApiError, and nothing else, when a call fails."""

    METHODS: ClassVar[tuple[Method[Any, Any], ...]]

    def __init__(self, channel: Channel | grpc.aio.Channel) -> None:
        self._unary_calls: dict[str, UnaryCall] = {
            method.path: channel.unary_unary(method.path) for method in self.METHODS if not method.is_streaming
        }
        self._stream_calls: dict[str, grpc.aio.UnaryStreamMultiCallable[bytes, bytes]] = {
            method.path: channel.unary_stream(method.path)
            for method in self.METHODS
            if method.server_streaming and not method.client_streaming
        }
        self._client_stream_calls: dict[str, grpc.aio.StreamUnaryMultiCallable[bytes, bytes]] = {
            method.path: channel.stream_unary(method.path)
            for method in self.METHODS
            if method.client_streaming and not method.server_streaming
        }
        self._bidi_stream_calls: dict[str, grpc.aio.StreamStreamMultiCallable[bytes, bytes]] = {
            method.path: channel.stream_stream(method.path)
            for method in self.METHODS
            if method.client_streaming and method.server_streaming
        }
        self._histograms = {
            method.path: rpc_metrics.bind_duration(rpc_metrics.CLIENT_DURATION, method.path) for method in self.METHODS
        }

    async def call_unary[Request: Message, Response: Message](
        self, method: Method[Request, Response], request: Request, timeout_s: float | None
    ) -> Response:
        """Make a unary call. `timeout_s` can only shorten the timeout of the contract."""
        return await self.call_unary_wire(method, request, get_codec().make_reader(method.response), timeout_s)

    async def call_unary_wire[Result](
        self, method: Method[Any, Any], request: Message, reader: Callable[[Wire], Result], timeout_s: float | None
    ) -> Result:
        """Make a unary call and return what `reader` builds from the response's C message."""
        metadata = _build_metadata(method)
        with (
            rpc_spans.start_client_span(method.path, metadata) as span,
            self._histograms[method.path].start_timer(CANCELLED) as timer,
        ):
            try:
                data = await self._unary_calls[method.path](
                    get_codec().encode(request),
                    timeout=compute_effective_timeout_s(timeout_s, method.timeout_s),
                    metadata=tuple(metadata.items()),
                )
                result = get_codec().decode_with(method.response, data, reader)
            except (grpc.aio.AioRpcError, DecodeError) as error:
                raise _map_call_error(error, span, timer) from error
            rpc_spans.end_client_span(span, grpc.StatusCode.OK)
            timer.outcome = OK
            return result

    async def call_stream[Request: Message, Response: Message](
        self, method: Method[Request, Response], request: Request, timeout_s: float | None
    ) -> AsyncIterator[Response]:
        """Make a server-streaming call. Closing the iterator cancels it."""
        call = self._stream_calls[method.path]
        async with aclosing(self._receive(method, call, get_codec().encode(request), timeout_s)) as responses:
            async for response in responses:
                yield response

    async def call_client_stream[Request: Message, Response: Message](
        self, method: Method[Request, Response], requests: AsyncIterable[Request], timeout_s: float | None
    ) -> Response:
        """Make a client-streaming call. An error of `requests` cancels the call and is raised."""
        metadata, encoded = _build_metadata(method), _EncodedRequests(requests)
        with (
            rpc_spans.start_client_span(method.path, metadata) as span,
            self._histograms[method.path].start_timer(CANCELLED) as timer,
            encoded.raise_error(),
        ):
            try:
                data = await self._client_stream_calls[method.path](
                    aiter(encoded),
                    timeout=compute_effective_timeout_s(timeout_s, method.timeout_s),
                    metadata=grpc.aio.Metadata(*metadata.items()),
                )
                response = get_codec().decode(method.response, data)
            except (grpc.aio.AioRpcError, DecodeError) as error:
                raise _map_call_error(error, span, timer) from error
            rpc_spans.end_client_span(span, grpc.StatusCode.OK)
            timer.outcome = OK
            return response

    async def call_bidi_stream[Request: Message, Response: Message](
        self, method: Method[Request, Response], requests: AsyncIterable[Request], timeout_s: float | None
    ) -> AsyncIterator[Response]:
        """Make a bidirectional call. An error of `requests` is raised and cancels it, as does closing the iterator."""
        call, encoded = self._bidi_stream_calls[method.path], _EncodedRequests(requests)
        with encoded.raise_error():
            async with aclosing(self._receive(method, call, aiter(encoded), timeout_s)) as responses:
                async for response in responses:
                    yield response

    async def _receive[Response: Message](
        self, method: Method[Any, Response], make_call: Callable[..., Any], request: Any, timeout_s: float | None
    ) -> AsyncGenerator[Response]:
        """Make a call and return its stream of responses."""
        metadata = _build_metadata(method)
        with (
            rpc_spans.start_client_span(method.path, metadata) as span,
            self._histograms[method.path].start_timer(CANCELLED) as timer,
        ):
            timeout_s = compute_effective_timeout_s(timeout_s, method.timeout_s)
            deadline = _compute_deadline(timeout_s)
            call = make_call(request, timeout=timeout_s, metadata=grpc.aio.Metadata(*metadata.items()))
            try:
                async for data in call:
                    yield get_codec().decode(method.response, data)
            except (grpc.aio.AioRpcError, DecodeError) as error:
                raise _map_call_error(error, span, timer, deadline) from error
            finally:
                call.cancel()
            rpc_spans.end_client_span(span, grpc.StatusCode.OK)
            timer.outcome = OK


class _EncodedRequests:
    """Requests of a stream in the wire format.

    gRPC reports an error of the iterator as a cancellation, therefore `raise_error` raises it.
    """

    def __init__(self, requests: AsyncIterable[Message]) -> None:
        self._requests = requests
        self._error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for request in self._requests:
                yield get_codec().encode(request)
        # The error is raised again in the task of the caller.
        except Exception as error:
            self._error = error
            raise

    @contextmanager
    def raise_error(self) -> Iterator[None]:
        """Raise the error of the requests instead of the cancellation that it has caused."""
        try:
            yield
        except (asyncio.CancelledError, ApiError):
            if self._error is not None:
                raise self._error from None
            raise


def _build_metadata(method: Method[Any, Any]) -> dict[str, str]:
    token = current_token.get() if method.actor_required else None
    return {"authorization": f"Bearer {token}"} if token else {}


def _compute_deadline(timeout_s: float | None) -> float:
    """Return the time of the event loop at which a call ends; infinite without a timeout."""
    return math.inf if timeout_s is None else asyncio.get_running_loop().time() + timeout_s


def _map_call_error(
    error: grpc.aio.AioRpcError | DecodeError, span: Span, timer: Timer[str], deadline: float = math.inf
) -> ApiError:
    """Return the error of a failed call, and record its status on the span and the timer.

    A sidecar has the same deadline. If it resets a stream first, the status is INTERNAL instead of DEADLINE_EXCEEDED.
    """
    code = grpc.StatusCode.INTERNAL if isinstance(error, DecodeError) else error.code()
    if code is grpc.StatusCode.INTERNAL and asyncio.get_running_loop().time() >= deadline:
        rpc_spans.end_client_span(span, grpc.StatusCode.DEADLINE_EXCEEDED)
        timer.outcome = grpc.StatusCode.DEADLINE_EXCEEDED.name
        return ApiError(Reason.UPSTREAM_TIMEOUT)
    rpc_spans.end_client_span(span, code)
    timer.outcome = code.name
    if isinstance(error, DecodeError):
        return ApiError(Reason.UPSTREAM_ERROR)
    return error_status.parse_call_error(error)
