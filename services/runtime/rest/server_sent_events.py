"""Server-sent events: what a handler has to say, for as long as both sides stay."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest.types import Event
from services.runtime.rpc import error_status

MEDIA_TYPE = "text/event-stream"

HEARTBEAT_S = 15.0
"""How long a stream is silent before a comment says that it lives, in seconds."""

_SHUTDOWN_EVENT_KEY = "delivery.shutdown_event"
_HEARTBEAT = b":\n\n"
_HEADERS = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store")]

_encode_json = msgspec.json.Encoder().encode


def attach_shutdown_event(scope: Scope, shutdown: asyncio.Event) -> None:
    """Lets the streams of this scope know when the server ends."""
    scope.setdefault("extensions", {})[_SHUTDOWN_EVENT_KEY] = shutdown


def get_shutdown_event(scope: Scope) -> asyncio.Event:
    """What `mark` left; an event that never comes where there is no server."""
    ending: asyncio.Event = scope.get("extensions", {}).get(_SHUTDOWN_EVENT_KEY) or asyncio.Event()
    return ending


def get_data_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Of one event's data: the schema describes events with their fields, or all data, or that of each."""
    data = schema.get("properties", {}).get("data", {})
    found: dict[str, Any] = data.get("contentSchema") or schema.get("items") or schema
    return found


def encode_event(event: Event[Any], validate: Callable[[bytes], None] | None = None) -> bytes:
    """As it goes out. Raises ValueError when the id would break the format."""
    if any(character in event.id for character in "\r\n\0"):
        raise ValueError("the id of an event is one line")
    data = _encode_json(event.data)  # JSON escapes line breaks, so it is one line
    if validate is not None:
        validate(data)
    return b"id: %b\ndata: %b\n\n" % (event.id.encode(), data)


class EventStreamWriter:
    """One response, begun by the first that has something to write."""

    def __init__(self, send: Send) -> None:
        self.is_started = False
        self._send = send
        self._send_lock = asyncio.Lock()
        self._last_write_at = asyncio.get_running_loop().time()

    async def write(self, chunk: bytes) -> None:
        """Sends it, and the head before it."""
        async with self._send_lock:
            await self._start()
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._last_write_at = asyncio.get_running_loop().time()

    async def end(self) -> None:
        """The last that is sent."""
        await self._start()
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self) -> None:
        if not self.is_started:
            await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            self.is_started = True

    async def send_heartbeats(self, interval_s: float) -> None:
        """Fills every silence that lasts so long, until cancelled."""
        while True:
            silent_s = asyncio.get_running_loop().time() - self._last_write_at
            if silent_s >= interval_s:
                await self.write(_HEARTBEAT)
            else:
                await asyncio.sleep(interval_s - silent_s)


async def stream_events(
    events: AsyncIterator[Event[Any]],
    receive: Receive,
    send: Send,
    *,
    shutdown: asyncio.Event,
    max_duration_s: float | None = None,
    heartbeat_s: float = HEARTBEAT_S,
    is_head_request: bool = False,
    validate: Callable[[bytes], None] | None = None,
) -> None:
    """Sends events until the handler has no more, the client leaves, the server ends or `lasts_s` (the token) is over.

    The response starts with the first event, or with the first heartbeat when none comes; what is raised before is
    left to be answered as any error. What is raised afterwards cuts the connection, so that no client takes a torn
    stream for a complete one. The iterator is closed before this returns, and runs in one task, so in one context.
    """
    writer = EventStreamWriter(send)

    async def pump() -> None:
        async with AsyncExitStack() as closing:
            if (close := getattr(events, "aclose", None)) is not None:
                closing.push_async_callback(close)
            async for event in events:
                chunk = encode_event(event, validate)
                if is_head_request:
                    return
                await writer.write(chunk)

    pumping, beating = asyncio.create_task(pump()), asyncio.create_task(writer.send_heartbeats(heartbeat_s))
    leaving, shutting = asyncio.create_task(_wait_for_disconnect(receive)), asyncio.create_task(shutdown.wait())
    tasks: set[asyncio.Task[Any]] = {pumping, beating, leaving, shutting}
    try:
        done, _ = await asyncio.wait(tasks, timeout=max_duration_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in (pumping, beating):
        if task in done and task.cancelled():
            raise RuntimeError("a stream was cancelled from within")
        if not task.cancelled():
            task.result()
    if leaving in done:
        return
    if not writer.is_started and pumping not in done:
        if shutting in done:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, retry_after=error_status.UNAVAILABLE_RETRY_AFTER_S)
        raise ApiError(Reason.UNAUTHENTICATED)
    await writer.end()


async def _wait_for_disconnect(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
