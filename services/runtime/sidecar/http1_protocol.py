"""HTTP/1.1 protocol of uvicorn's servers for connections of the sidecar.

It serves ASGI applications as uvicorn's own protocol does, in half of the CPU time, without the features that a sidecar
does not use: WebSocket, pipelining, access logs, default headers and a timer for each request. A request that arrives
completely is started at once, without a turn of the event loop.
"""

import asyncio
import logging
from typing import Any, cast, override
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.server import ServerState

from services.runtime.sidecar.http1_exchange import Exchange

log = logging.getLogger(__name__)

MAX_BUFFERED_BYTES = 64 * 1024
"""Size of a body's unread part above which the connection is not read."""

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Http1Protocol(asyncio.Protocol):
    """Connection with at most one request in progress."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._app: Any = config.loaded_app
        self._keep_alive_s = config.timeout_keep_alive
        self._server_state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._exchange: Exchange | None = None
        self._unstarted: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_pipelined = self._is_draining = False
        self._idle_since = self._loop.time()
        self._idle_timer: asyncio.TimerHandle | None = None
        self.resumed: asyncio.Event | None = None

    @property
    def is_closed(self) -> bool:
        """Return whether the connection is closed."""
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._server_state.connections.add(cast(Any, self))
        self._close_if_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the application of the request in progress receive the disconnection."""
        self._server_state.connections.discard(cast(Any, self))
        self._transport = None
        self.resume_writing()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._exchange is not None:
            self._exchange.notify()

    def shutdown(self) -> None:
        """Close the connection after the request in progress."""
        self._is_draining = True
        if self._exchange is None:
            self._close()
        else:
            self._exchange.is_persistent = False

    def data_received(self, data: bytes) -> None:
        """Parse a part of a request. The application starts when the headers are complete."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # The body of a request for another protocol is not parsed.
            log.warning("malformed request: %r; closing the connection", error)
            if self._exchange is self._unstarted:
                self.write(_BAD_REQUEST)
            self._close()
            return
        exchange, self._unstarted = self._unstarted, None
        if exchange is not None:
            self._task = asyncio.Task(self._run(exchange), loop=self._loop, eager_start=True)
            if not self._task.done():
                self._server_state.tasks.add(self._task)
                self._task.add_done_callback(self._server_state.tasks.discard)
        elif self._exchange is not None:
            self._exchange.notify()

    def on_message_begin(self) -> None:
        """Begin a request. A pipelined one is ignored: the connection is closed, and the client repeats it."""
        self._is_pipelined = self._exchange is not None
        if self._exchange is not None:
            self._exchange.is_persistent = False
        self._url, self._headers = b"", []

    def on_url(self, url: bytes) -> None:
        """Store a part of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Create the exchange."""
        if self._is_pipelined:
            return
        headers, self._headers = self._headers, []  # the parser also reports trailers as headers
        raw_path, _, query = self._url.partition(b"?")
        path = raw_path.decode("latin-1")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self._parser.get_http_version(),
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers,
            "state": self._app_state.copy(),
        }
        is_persistent = self._parser.should_keep_alive() and not self._is_draining
        self._exchange = self._unstarted = Exchange(self, scope, is_persistent=is_persistent)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body, which is discarded if the response is complete."""
        if self._exchange is None or self._is_pipelined:
            return
        self._exchange.body += body
        if len(self._exchange.body) > MAX_BUFFERED_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Complete the body."""
        if self._exchange is not None and not self._is_pipelined:
            self._exchange.is_body_complete = True

    def write(self, data: bytes) -> None:
        """Send data. After a disconnection, it is discarded."""
        if self._transport is not None and data:
            self._transport.write(data)

    def resume_reading(self) -> None:
        """Read again after a part of the body was read."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Suspend responses, since the write buffer is full."""
        self.resumed = asyncio.Event()

    def resume_writing(self) -> None:
        """Resume responses."""
        if self.resumed is not None:
            self.resumed.set()
            self.resumed = None

    def end_exchange(self, exchange: Exchange) -> None:
        """Wait for the next request, or close the connection."""
        self._exchange = None
        self._idle_since = self._loop.time()
        if exchange.is_persistent:
            self.resume_reading()
        else:
            self._close()

    async def _run(self, exchange: Exchange) -> None:
        """Run the application. An error ends the connection, so that no truncated response seems to be complete."""
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            log.warning("request cancelled: %s %s", exchange.scope["method"], exchange.scope["path"])
        # Outermost handler: the next request of the connection is independent of this one.
        except Exception:
            log.exception("request failed: %s %s", exchange.scope["method"], exchange.scope["path"])
        if exchange.is_complete or self.is_closed:
            return
        if not exchange.is_started:
            await exchange.send({"type": "http.response.start", "status": 500})
            await exchange.send({"type": "http.response.body"})
        self._close()

    def _close_if_idle(self) -> None:
        """Close the connection if it was unused for its maximum time, or check later."""
        idle_s = self._loop.time() - self._idle_since if self._exchange is None else 0.0
        if idle_s < self._keep_alive_s:
            self._idle_timer = self._loop.call_later(self._keep_alive_s - idle_s, self._close_if_idle)
        else:
            self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class CancellingHttp1Protocol(Http1Protocol):
    """Connection whose end cancels the application of the request in progress."""

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the application."""
        is_in_progress = self._exchange is not None
        super().connection_lost(exc)
        if is_in_progress and self._task is not None:
            self._task.cancel()
