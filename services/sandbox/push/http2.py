"""Minimal HTTP/2 server without TLS, for the APNs emulator."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

MAX_BODY_BYTES = 64 * 1024
"""Maximum number of bytes of a request body that are stored; the rest is discarded."""


@dataclass
class Http2Request:
    """A complete request. Header names are in lower case and include the pseudo-headers."""

    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class Http2Response:
    """A response."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


type RequestHandler = Callable[[Http2Request], Awaitable[Http2Response]]


class _Connection(asyncio.Protocol):
    """Connection of one client; requests are handled concurrently."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._requests: dict[int, Http2Request] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the HTTP/2 connection."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not derive from asyncio.Transport
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Process received bytes, which may end within a frame."""
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            self._flush()
            self.close()
            return
        for event in events:
            self._handle_event(event)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the running requests of the client."""
        for task in self._tasks.values():
            task.cancel()
        self._transport = None

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, RequestReceived) and event.stream_id is not None:
            self._requests[event.stream_id] = Http2Request({str(n): str(v) for n, v in event.headers or ()})
        elif isinstance(event, DataReceived) and event.stream_id is not None:
            request = self._requests.get(event.stream_id)
            if request is not None and len(request.body) < MAX_BODY_BYTES:
                request.body += event.data or b""
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, StreamEnded) and event.stream_id in self._requests:
            request = self._requests.pop(event.stream_id)
            self._tasks[event.stream_id] = asyncio.create_task(self._respond(event.stream_id, request))
        elif isinstance(event, StreamReset) and event.stream_id is not None:
            self._requests.pop(event.stream_id, None)
            if event.stream_id in self._tasks:
                self._tasks.pop(event.stream_id).cancel()

    async def _respond(self, stream_id: int, request: Http2Request) -> None:
        response = await self._handler(request)
        self._tasks.pop(stream_id, None)
        headers = [(":status", str(response.status)), *response.headers.items()]
        self._h2.send_headers(stream_id, headers, end_stream=not response.body)
        if response.body:
            self._h2.send_data(stream_id, response.body, end_stream=True)
        self._flush()

    def _flush(self) -> None:
        if self._transport is not None and (data := self._h2.data_to_send()):
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def serve(handler: RequestHandler, host: str, port: int) -> AsyncIterator[None]:
    """Serve while the block runs."""
    connections: list[_Connection] = []

    def create_connection() -> _Connection:
        connections.append(_Connection(handler))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(create_connection, host, port)
    try:
        yield
    finally:
        server.close()
        for connection in connections:
            connection.close()
        await server.wait_closed()
