"""One HTTP/1.1 request with its response, as the ASGI callables `receive` and `send`."""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

from starlette.types import Message, Scope

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_BODILESS_STATUSES = frozenset({204, 304})


class Connection(Protocol):
    """Connection of an exchange."""

    resumed: asyncio.Event | None
    """Set as soon as more may be written; None while nothing has to wait."""

    @property
    def is_closed(self) -> bool:
        """Return whether the connection is closed."""

    def write(self, data: bytes) -> None:
        """Send data. After a disconnection, it is discarded."""

    def resume_reading(self) -> None:
        """Read again after a part of the body was read."""

    def end_exchange(self, exchange: "Exchange") -> None:
        """Continue with the next request after a complete response."""


class Exchange:
    """Request with its response. The connection changes the public attributes."""

    def __init__(self, connection: Connection, scope: Scope, *, is_persistent: bool) -> None:
        self.scope = scope
        self.is_persistent = is_persistent
        """True if the connection serves another request afterwards."""
        self.body = b""
        """Part of the body that was received and not read."""
        self.is_body_complete = self.is_started = self.is_complete = False
        """True once the body was received, the response started and completed."""
        self._connection = connection
        self._is_body_read = self._is_chunked = False
        self._head = b""
        self._notified: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Let `receive` check for a body or a disconnection."""
        if self._notified is not None and not self._notified.done():
            self._notified.set_result(None)

    async def receive(self) -> Message:
        """Return the next part of the body. After the response or a disconnection, return the disconnection.

        A body that was received completely precedes the disconnection, as its request may be handled.
        """
        while not self.is_complete:
            is_closed = self._connection.is_closed
            if (self.is_body_complete and not self._is_body_read) or (self.body and not is_closed):
                body, self.body = self.body, b""
                self._is_body_read = self.is_body_complete
                self._connection.resume_reading()
                return {"type": "http.request", "body": body, "more_body": not self.is_body_complete}
            if is_closed:
                break
            self._notified = asyncio.get_running_loop().create_future()
            await self._notified
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the response. The head is sent with the first part of the body, as ASGI requires.

        Raises ValueError for a header with a line break or NUL, RuntimeError for a message out of order.
        """
        if self._connection.resumed is not None:
            await self._connection.resumed.wait()
        if self.is_started != (message["type"] == "http.response.body") or self.is_complete:
            raise RuntimeError(f"{message['type']} is out of order")
        if not self.is_started:
            self._head = self._format_head(message["status"], message.get("headers", ()))
            self.is_started = True
            return
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            body = b""
        elif self._is_chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = chunk + b"0\r\n\r\n" if is_last else chunk
        self._connection.write(self._head + body)
        self._head = b""
        if is_last:
            self.is_complete = True
            self._connection.end_exchange(self)
            self.notify()

    def _format_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the status line and the headers. Without a length, the body is chunked."""
        lines = [_STATUS_LINES[status], *[b"%b: %b\r\n" % header for header in headers]]
        has_body = status not in _BODILESS_STATUSES and self.scope["method"] != "HEAD"
        if has_body and all(name != b"content-length" for name, _ in headers):
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.is_persistent:
            lines.append(b"connection: close\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise ValueError("response header contains a line break or NUL")
        return head + b"\r\n"
