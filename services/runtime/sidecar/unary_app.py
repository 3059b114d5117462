"""ASGI application of the unary RPCs that the sidecar forwards over HTTP/1.1.

A response with a message has no status: the filter `grpc_http1_reverse_bridge` of the sidecar adds the trailer for OK.
Every other status is in the headers of a response without a message ("Trailers-Only").
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import grpc
from starlette.types import Receive, Scope, Send

from services.runtime.sidecar import grpc_messages
from services.runtime.sidecar.grpc_messages import StatusError

MAX_BODY_BYTES = grpc_messages.MAX_MESSAGE_BYTES + grpc_messages.FRAME_HEADER_BYTES
CONTENT_TYPE_HEADER = (b"content-type", grpc_messages.CONTENT_TYPE.encode())

type UnaryHandler = Callable[[bytes, Mapping[str, str], float | None], Awaitable[bytes]]
"""Handler of one method: takes encoded request, metadata and timeout in seconds, returns the encoded response.

Raises StatusError, and nothing else.
"""


class UnaryApp:
    """Application of unary methods, by path."""

    def __init__(self, handlers: Mapping[str, UnaryHandler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call. Its deadline ends the handler, and so does the server when the caller disconnects."""
        body, headers, status = b"", [CONTENT_TYPE_HEADER], HTTPStatus.OK
        metadata = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            if metadata.get("content-type", "").startswith(grpc_messages.CONTENT_TYPE):
                body = grpc_messages.encode_frame(await self._call(scope["path"], metadata, receive))
            else:
                status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        except StatusError as error:
            headers += [(name.encode(), value.encode()) for name, value in grpc_messages.format_status(error)]
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _call(self, path: str, metadata: Mapping[str, str], receive: Receive) -> bytes:
        """Return the encoded response. Raises StatusError."""
        handler = self._handlers.get(path)
        if handler is None:
            raise StatusError(grpc.StatusCode.UNIMPLEMENTED, "method not found")
        timeout_s = None
        if (value := metadata.get("grpc-timeout")) is not None:
            timeout_s = grpc_messages.parse_timeout_s(value)
        try:
            async with asyncio.timeout(timeout_s):
                data = grpc_messages.decode_frame(await _read_body(receive), metadata.get("grpc-encoding", "identity"))
                return await handler(data, metadata, timeout_s)
        except TimeoutError:
            raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "deadline exceeded") from None
        except asyncio.CancelledError:
            # The server cancels calls of disconnected callers, and those that outlast the grace period of its shutdown.
            raise StatusError(grpc.StatusCode.CANCELLED, "call cancelled") from None


async def _read_body(receive: Receive) -> bytes:
    """Return the body of the request. Raises StatusError: RESOURCE_EXHAUSTED, CANCELLED."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise StatusError(grpc.StatusCode.CANCELLED, "caller disconnected")
        body += message["body"]
        if len(body) > MAX_BODY_BYTES:
            raise grpc_messages.build_size_error()
        if not message["more_body"]:
            return bytes(body)
