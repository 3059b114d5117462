"""uvicorn server for an ASGI application on a unix socket, with graceful shutdown."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.rest.server_sent_events import attach_shutdown_event
from services.runtime.rpc.server import remove_stale_socket


class _UvicornServer(uvicorn.Server):
    """uvicorn server without signal handlers; the process installs its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Capture no signals."""
        yield


async def _serve(server: uvicorn.Server) -> None:
    """Run the server; raise RuntimeError where uvicorn would exit the process."""
    try:
        await server.serve()
    except SystemExit as error:
        raise RuntimeError("application startup failed") from error


@contextlib.asynccontextmanager
async def serve_app(app: ASGIApp, socket_path: Path, *, grace_s: float) -> AsyncIterator[None]:
    """Serve on the unix socket while the block runs, then end event streams and drain requests for up to `grace_s`.

    Only the owner may open the socket.

    Raises SocketInUseError, and RuntimeError when the application does not start.
    """
    remove_stale_socket(socket_path)
    shutdown = asyncio.Event()

    async def call_app_with_shutdown_event(scope: Scope, receive: Receive, send: Send) -> None:
        attach_shutdown_event(scope, shutdown)
        await app(scope, receive, send)

    config = uvicorn.Config(
        call_app_with_shutdown_event,
        uds=str(socket_path),
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=max(1, round(grace_s)),
    )
    server = _UvicornServer(config)
    task = asyncio.create_task(_serve(server))
    while not server.started:
        done, _ = await asyncio.wait({task}, timeout=0.01)
        if done:
            task.result()
    socket_path.chmod(0o600)
    try:
        yield
    finally:
        shutdown.set()
        server.should_exit = True
        await task
        socket_path.unlink(missing_ok=True)
