"""Unary RPCs over HTTP/1.1 on the egress socket of the sidecar, which makes gRPC calls of them.

Responses have the status in chunked trailers, or in their headers when they have no message.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple, cast

import grpc
import grpc.aio
import httptools

from services.runtime.sidecar import grpc_messages
from services.runtime.sidecar.grpc_messages import MAX_MESSAGE_BYTES, Metadata, StatusError

IDLE_TIMEOUT_S = 60.0
"""Lifetime of an unused connection, less than the idle timeout of the sidecar, so that no request meets its end."""

type UnaryCall = Callable[..., Awaitable[bytes]]
"""Call of one method: takes the encoded request, `timeout` in seconds and `metadata`, returns the encoded response."""


class _Response(NamedTuple):
    """Complete HTTP response; `headers` also contains the trailers."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
    """HTTP/1.1 connection with at most one request in progress."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._response: asyncio.Future[_Response] | None = None
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._is_persistent = True
        self.idle_since = 0.0

    @property
    def is_reusable(self) -> bool:
        """Return whether the connection is open and its last response complete."""
        return self._is_persistent and self._response is None and self._transport is not None

    async def exchange(self, request: bytes) -> _Response:
        """Send a request and return its response.

        Raises ConnectionError when the connection ends before, StatusError for a response that is too large.
        """
        if self._transport is None:
            raise ConnectionResetError
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._response

    def close(self) -> None:
        """Close the connection; the sidecar cancels a request in progress."""
        self._is_persistent = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request in progress."""
        self._transport = None
        self._fail(ConnectionResetError("the sidecar closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Parse a part of a response."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionAbortedError(f"malformed response: {error}"))
            self.close()

    def on_message_begin(self) -> None:
        """Begin a response."""
        self._headers, self._body = {}, bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header or a trailer."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Store whether the connection persists."""
        self._is_persistent = self._is_persistent and self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Store a part of the body."""
        self._body += body
        if len(self._body) > MAX_MESSAGE_BYTES + grpc_messages.FRAME_HEADER_BYTES:
            self._fail(grpc_messages.build_size_error())
            self.close()

    def on_message_complete(self) -> None:
        """Return the response."""
        response, self._response = self._response, None
        if response is None:
            self.close()
        elif not response.done():
            response.set_result(_Response(self._parser.get_status_code(), self._headers, bytes(self._body)))

    def _fail(self, error: Exception) -> None:
        response, self._response = self._response, None
        if response is not None and not response.done():
            response.set_exception(error)


class Http1Client:
    """Client of one service. It has a connection per call in progress, and reuses connections."""

    def __init__(self, egress_socket: Path, authority: str) -> None:
        self._egress_socket = str(egress_socket)
        self._authority = authority
        self._connections: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()

    def bind(self, path: str) -> UnaryCall:
        """Return the call of a method, which raises AioRpcError for every status except OK."""
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._authority}\r\n"
            f"content-type: {grpc_messages.CONTENT_TYPE}\r\nte: trailers\r\n"
        )

        async def call(data: bytes, *, timeout: float | None = None, metadata: Metadata = ()) -> bytes:
            request = _build_request(head, data, timeout, metadata)
            try:
                if timeout is not None and timeout <= 0:
                    raise TimeoutError
                async with asyncio.timeout(timeout):
                    response = await self._exchange(request)
                grpc_messages.raise_for_status(response.status, response.headers)
                return grpc_messages.decode_frame(response.body)
            except TimeoutError:
                error = StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "deadline exceeded")
            except OSError as connection_error:
                error = StatusError(grpc.StatusCode.UNAVAILABLE, f"sidecar unavailable: {connection_error}")
            except StatusError as status_error:
                error = status_error
            raise grpc.aio.AioRpcError(error.code, grpc.aio.Metadata(), grpc.aio.Metadata(), error.details)

        return call

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._idle.clear()

    async def _exchange(self, request: bytes) -> _Response:
        connection = self._acquire_idle() or await self._connect()
        try:
            return await connection.exchange(request)
        finally:
            self._put_back(connection)

    def _acquire_idle(self) -> _Connection | None:
        """Return the connection that was used last, and close those that have been idle for too long."""
        expired_before = time.monotonic() - IDLE_TIMEOUT_S
        while self._idle and (self._idle[0].idle_since < expired_before or not self._idle[0].is_reusable):
            self._discard(self._idle.popleft())
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
            self._discard(connection)
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_unix_connection(_Connection, self._egress_socket)
        self._connections.add(connection)
        return connection

    def _put_back(self, connection: _Connection) -> None:
        if connection in self._connections and connection.is_reusable:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            self._discard(connection)

    def _discard(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        connection.close()


def _build_request(head: str, data: bytes, timeout_s: float | None, metadata: Metadata) -> bytes:
    """Return the request with its body. Raises ValueError for metadata that is not printable ASCII."""
    lines = [head]
    if timeout_s is not None:
        lines.append(f"grpc-timeout: {grpc_messages.format_timeout(timeout_s)}\r\n")
    lines += [f"{name}: {value}\r\n" for name, value in grpc_messages.format_metadata(metadata)]
    body = grpc_messages.encode_frame(data)
    lines.append(f"content-length: {len(body)}\r\n\r\n")
    return "".join(lines).encode("ascii") + body
