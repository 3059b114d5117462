"""Server of the REST application on a unix socket, with graceful shutdown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.rest.server_sent_events import OpenStreams, attach_open_streams
from services.runtime.sidecar.uvicorn_server import UvicornServer


@asynccontextmanager
async def serve_app(app: ASGIApp, socket_path: Path, *, grace_s: float) -> AsyncIterator[None]:
    """Serve on the unix socket while the block runs, then end event streams and drain requests for up to `grace_s`.

    Only the owner may open the socket.

    Raises SocketInUseError, and RuntimeError when the application does not start.
    """
    streams = OpenStreams()

    async def call_app_with_open_streams(scope: Scope, receive: Receive, send: Send) -> None:
        attach_open_streams(scope, streams)
        await app(scope, receive, send)

    server = UvicornServer(call_app_with_open_streams, socket_path, lifespan="on")
    await server.start()
    try:
        yield
    finally:
        streams.close_all()
        await server.stop(grace_s)
