"""Server-sent events: encoding, heartbeats, and the life cycle of an event stream."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest.responses import send_response
from services.runtime.rest.types import Event
from services.runtime.rpc import error_status

MEDIA_TYPE = "text/event-stream"

CLOCK_SKEW_S = 5.0
"""Time before the expiry of a token within which a stream that has ended counts as ended by the expiry, in seconds."""

HEARTBEAT_S = 15.0
"""Idle time after which a comment is sent, so that no proxy closes the connection as idle, in seconds."""

_OPEN_STREAMS_KEY = "runtime.open_streams"
_HEARTBEAT = b":\n\n"
_HEADERS = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store")]

_encode_json = msgspec.json.Encoder().encode


class OpenStreams:
    """Registry of the open event streams of a server, which ends them when it shuts down."""

    def __init__(self) -> None:
        self._shutdowns: set[asyncio.Future[None]] = set()
        self._is_closed = False

    @contextmanager
    def track(self) -> Iterator[asyncio.Future[None]]:
        """Register one stream while the block runs. Yields a future that is done when the server shuts down."""
        shutdown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._shutdowns.add(shutdown)
        if self._is_closed:
            shutdown.set_result(None)
        try:
            yield shutdown
        finally:
            self._shutdowns.discard(shutdown)

    def close_all(self) -> None:
        """End all streams, and those that are opened later."""
        self._is_closed = True
        for shutdown in self._shutdowns:
            if not shutdown.done():
                shutdown.set_result(None)


def attach_open_streams(scope: Scope, streams: OpenStreams) -> None:
    """Store the server's registry in the scope, for its event streams."""
    scope.setdefault("extensions", {})[_OPEN_STREAMS_KEY] = streams


def get_open_streams(scope: Scope) -> OpenStreams:
    """Return the registry stored by `attach_open_streams`, or one that is never closed when no server stored any."""
    streams: OpenStreams | None = scope.get("extensions", {}).get(_OPEN_STREAMS_KEY)
    return OpenStreams() if streams is None else streams


def get_data_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one event's data.

    The response schema may describe the text of the stream with its content, an array of data, or the data itself.
    """
    data_schema: dict[str, Any] = schema.get("contentSchema") or schema.get("items") or schema
    return data_schema


def encode_event(event: Event[Any], validate: Callable[[bytes], None] | None = None) -> bytes:
    """Return the event in the text/event-stream format.

    Raises ValueError when the id contains a line break or NUL.
    """
    if any(character in event.id for character in "\r\n\0"):
        raise ValueError("event id must be one line")
    data = _encode_json(event.data)  # one line: JSON escapes line breaks
    if validate is not None:
        validate(data)
    name = b"event: %b\n" % event.name.encode() if event.name else b""
    return b"%bid: %b\ndata: %b\n\n" % (name, event.id.encode(), data)


class EventStreamWriter:
    """Writer of one event-stream response, which starts with the first write."""

    def __init__(self, send: Send) -> None:
        self.is_started = False
        self._send = send
        self._send_lock = asyncio.Lock()
        self._last_write_at = asyncio.get_running_loop().time()

    async def write(self, chunk: bytes) -> None:
        """Send a chunk, preceded by the response headers on the first call."""
        async with self._send_lock:
            await self._start()
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._last_write_at = asyncio.get_running_loop().time()

    async def end(self, *, has_events: bool = True) -> None:
        """Complete the response, which is 204 when nothing was written and the stream has no events."""
        if not self.is_started and not has_events:
            await send_response(self._send, 204, [], b"")
            return
        await self._start()
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self) -> None:
        if not self.is_started:
            await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            self.is_started = True

    async def send_heartbeats(self, interval_s: float) -> None:
        """Send a comment after every idle interval, until cancelled."""
        while True:
            idle_s = asyncio.get_running_loop().time() - self._last_write_at
            if idle_s >= interval_s:
                await self.write(_HEARTBEAT)
            else:
                await asyncio.sleep(interval_s - idle_s)


async def stream_events(
    events: AsyncIterator[Event[Any]],
    receive: Receive,
    send: Send,
    *,
    shutdown: asyncio.Future[None],
    revoked: asyncio.Future[None] | None = None,
    max_duration_s: float | None = None,
    heartbeat_s: float = HEARTBEAT_S,
    is_head_request: bool = False,
    validate: Callable[[bytes], None] | None = None,
) -> None:
    """Send events until the iterator ends, the client disconnects, the server shuts down or `max_duration_s` passes.

    They also end when `revoked`, the revocation of the client's token, is done. A future takes less memory than an
    event with a task that waits for it.

    The response starts with the first event or heartbeat. An error before the start is raised, to be answered like any
    other. An error after the start aborts the connection, so that a client does not take a truncated stream for a
    complete one. The iterator runs in a single task, so in a single context, and is closed before this returns.

    An iterator that ends without an event before the start is answered with 204: nothing will follow, and a standard
    client (EventSource) stops reconnecting.

    Raises ApiError: UPSTREAM_UNAVAILABLE when the server shuts down before the start, UNAUTHENTICATED when
    `max_duration_s` (the lifetime of the token) passes before the start, TOKEN_REVOKED for a revocation before it.
    """
    writer = EventStreamWriter(send)
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    has_events = False

    async def pump() -> None:
        nonlocal has_events
        try:
            async for event in events:
                has_events = True
                chunk = encode_event(event, validate)
                if is_head_request:
                    return
                await writer.write(chunk)
        finally:
            if (close := getattr(events, "aclose", None)) is not None:
                await close()

    pump_task = asyncio.create_task(pump())
    heartbeat_task = asyncio.create_task(writer.send_heartbeats(heartbeat_s))
    disconnect_task = asyncio.create_task(_wait_for_disconnect(receive))
    tasks = (pump_task, heartbeat_task, disconnect_task)
    ends = (*tasks, shutdown) if revoked is None else (*tasks, shutdown, revoked)
    try:
        done, _ = await asyncio.wait(ends, timeout=max_duration_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in (pump_task, heartbeat_task):
        if task in done and task.cancelled():
            raise RuntimeError("event stream task cancelled unexpectedly")
        if not task.cancelled():
            task.result()
    if disconnect_task in done:
        return
    if not writer.is_started and pump_task not in done:
        if revoked in done:
            raise ApiError(Reason.TOKEN_REVOKED)
        if shutdown in done:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, retry_after=error_status.UNAVAILABLE_RETRY_AFTER_S)
        raise ApiError(Reason.UNAUTHENTICATED)
    # The iterator ends at the token's expiry too, by the clock of another machine.
    is_near_expiry = max_duration_s is not None and loop.time() - started_at > max_duration_s - CLOCK_SKEW_S
    if not writer.is_started and not has_events and is_near_expiry:
        raise ApiError(Reason.UNAUTHENTICATED)
    await writer.end(has_events=has_events)


async def _wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass
