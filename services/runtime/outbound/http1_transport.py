"""Transport of httpx for HTTP/1.1, on asyncio and the parser httptools, with a third of the CPU time of httpcore.

It is for untrusted servers: what it stores of a response is bounded, except for the body, which the caller reads.
"""

import asyncio
import re
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from socket import socket
from typing import NamedTuple, cast, override

import httptools
import httpx

IDLE_TIMEOUT_S = 60.0
"""Seconds after which an unused connection is no longer used."""

MAX_IDLE_CONNECTIONS = 100
"""Maximum number of unused connections to all servers."""

MAX_OVERHEAD_BYTES = 256 * 1024
"""Maximum size of a response without its body: headers, chunk headers and trailers."""

_ILLEGAL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Characters that no part of a request head contains, so that no value adds a header or a request."""

type OpenSocket = Callable[[httpx.URL], Awaitable[socket]]
"""Function that opens a TCP connection to the server of a URL. Raises httpx.ConnectError."""


class _Origin(NamedTuple):
    scheme: str
    host: bytes
    port: int | None


class _Connection(asyncio.Protocol):
    """Connection with at most one request in progress."""

    def __init__(self, origin: _Origin) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._is_persistent = True
        self._is_in_progress = False
        self._is_head_complete = False
        self._ends_with_connection = True
        self._overhead_bytes = 0
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._error: httpx.TransportError | None = None
        self._changed: asyncio.Future[None] | None = None

    @property
    def is_reusable(self) -> bool:
        """Return whether the connection is open and its last response complete."""
        return self._is_persistent and not self._is_in_progress and self._transport is not None

    async def send(self, request: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Send a request, and return status and headers of its response. Raises httpx.TransportError."""
        if self._transport is None:
            raise httpx.ReadError("connection closed")
        self._is_in_progress, self._is_head_complete = True, False
        self._overhead_bytes = 0
        self._transport.write(request)
        while not self._is_head_complete:
            await self._wait()
        return self._status, self._headers

    async def iter_body(self) -> AsyncIterator[bytes]:
        """Yield the parts of the body as they arrive. Raises httpx.TransportError."""
        while self._body or self._is_in_progress:
            if self._body:
                data = b"".join(self._body)
                self._body.clear()
                yield data
            else:
                await self._wait()

    def close(self) -> None:
        """Close the connection at once."""
        self._is_persistent = False
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        """Wait until more of the response has arrived."""
        if self._error is not None:
            raise self._error
        self._changed = asyncio.get_running_loop().create_future()
        await self._changed

    def _notify(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _fail(self, error: httpx.TransportError) -> None:
        self._error = self._error or error
        self._notify()
        self.close()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if exc is not None:
            self._fail(httpx.ReadError(str(exc)))
        elif self._is_head_complete and self._ends_with_connection:
            self._is_in_progress = False
            self._notify()
        else:
            self._fail(httpx.RemoteProtocolError("connection closed before the end of the response"))

    @override
    def data_received(self, data: bytes) -> None:
        if not self._is_in_progress:
            self.close()  # a response without a request
            return
        self._overhead_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(str(error)))
        else:
            if self._overhead_bytes > MAX_OVERHEAD_BYTES:
                self._fail(httpx.RemoteProtocolError("headers too large"))
        self._notify()

    def on_message_begin(self) -> None:
        """Begin a response. The connection of a second response to one request is closed."""
        if not self._is_in_progress:
            self.close()
            return
        self._headers = []
        self._ends_with_connection = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header. Trailers are ignored, and a second response."""
        if self._is_head_complete:
            return
        self._headers.append((name, value))
        if name.lower() == b"content-length" or (name.lower() == b"transfer-encoding" and b"chunked" in value.lower()):
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        """End the head. That of the response follows an informational one."""
        if self._is_in_progress:
            self._status = self._parser.get_status_code()
            self._is_head_complete = self._status >= HTTPStatus.OK

    def on_body(self, body: bytes) -> None:
        """Store a part of the body."""
        if self._is_in_progress:
            self._overhead_bytes -= len(body)
            self._body.append(body)

    def on_message_complete(self) -> None:
        """End the response."""
        if self._is_head_complete:
            self._is_in_progress = False
            self._is_persistent = self._is_persistent and self._parser.should_keep_alive()


class _Body(httpx.AsyncByteStream):
    """Body of a response. Closing it releases the connection."""

    def __init__(self, connection: _Connection, put_back: Callable[[_Connection], None]) -> None:
        self._connection = connection
        self._put_back = put_back

    @override
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.iter_body()

    @override
    async def aclose(self) -> None:
        self._put_back(self._connection)


class Http1Transport(httpx.AsyncBaseTransport):
    """Transport that reuses connections. It has no timeouts of its own; callers limit the time of a request.

    It is used directly or in an `httpx.AsyncClient`. Responses are streams, which the caller closes.
    """

    def __init__(self, open_socket: OpenSocket, ssl_context: ssl.SSLContext) -> None:
        self._open_socket = open_socket
        self._ssl_context = ssl_context
        self._connections: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme not in {"http", "https"} or not url.host:
            raise httpx.UnsupportedProtocol("not an absolute HTTP URL")
        origin = _Origin(url.scheme, url.raw_host, url.port)
        data = _encode_request(request, await request.aread())
        connection = self._acquire_idle(origin) or await self._connect(origin, url)
        try:
            status, headers = await connection.send(data)
        except BaseException:
            self._put_back(connection)
            raise
        return httpx.Response(status, headers=headers, stream=_Body(connection, self._put_back))

    @override
    async def aclose(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._idle.clear()

    def _acquire_idle(self, origin: _Origin) -> _Connection | None:
        """Return the connection that was used last, and close those that have been unused for too long."""
        expired_before = time.monotonic() - IDLE_TIMEOUT_S
        while self._idle and (self._idle[0].idle_since < expired_before or not self._idle[0].is_reusable):
            self._discard(self._idle.popleft())
        for connection in reversed(self._idle):
            if connection.origin == origin and connection.is_reusable:
                self._idle.remove(connection)
                return connection
        return None

    async def _connect(self, origin: _Origin, url: httpx.URL) -> _Connection:
        connection = _Connection(origin)
        is_encrypted = url.scheme == "https"
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                sock=await self._open_socket(url),
                ssl=self._ssl_context if is_encrypted else None,
                server_hostname=url.raw_host.decode("ascii") if is_encrypted else None,
            )
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        self._connections.add(connection)
        return connection

    def _put_back(self, connection: _Connection) -> None:
        """Store a connection whose response is complete, and close every other one."""
        if connection not in self._connections or not connection.is_reusable:
            self._discard(connection)
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if len(self._idle) > MAX_IDLE_CONNECTIONS:
            self._discard(self._idle.popleft())

    def _discard(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        connection.close()


def _encode_request(request: httpx.Request, body: bytes) -> bytes:
    """Return the request as bytes. Raises httpx.LocalProtocolError for a control character in its head."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    if any(map(_ILLEGAL.search, lines)):
        raise httpx.LocalProtocolError("control character in the head of the request")
    return b"\r\n".join((*lines, b"", body))
