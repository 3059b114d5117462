"""A small HTTP/2 server without TLS, for the one third party that speaks nothing else."""

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
"""Bytes of a request that are kept; what comes beyond is read and let go."""


@dataclass
class Http2Request:
    """A request, whole. `headers` are in lower case, the pseudo-headers among them."""

    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class Http2Response:
    """An answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


type RequestHandler = Callable[[Http2Request], Awaitable[Http2Response]]


class _Connection(asyncio.Protocol):
    """One client; each of its requests is answered when its answer is there."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._requests: dict[int, Http2Request] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Frames, in whole or in part."""
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
        """The client is gone; nobody waits for the answers."""
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
        """Hangs up."""
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def serve(handler: RequestHandler, host: str, port: int) -> AsyncIterator[None]:
    """Serves while the block runs."""
    connections: list[_Connection] = []

    def connected() -> _Connection:
        connections.append(_Connection(handler))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(connected, host, port)
    try:
        yield
    finally:
        server.close()
        for connection in connections:
            connection.close()
        await server.wait_closed()
