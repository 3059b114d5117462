"""HTTP/2 server without TLS (h2c with prior knowledge), for the APNs emulator."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import hypercorn.asyncio
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from starlette.types import ASGIApp

log = logging.getLogger(__name__)

IDLE_TIMEOUT_S = 3600
"""Time after which an idle connection is closed. Long, since APNs clients reuse one connection."""

SHUTDOWN_TIMEOUT_S = 3
"""Time that running requests have to finish at shutdown."""


@asynccontextmanager
async def serve(app: ASGIApp, host: str, port: int) -> AsyncIterator[None]:
    """Serve an ASGI application on the running event loop while the block runs.

    Raises OSError if the address cannot be bound.
    """
    # Hypercorn reports no startup. A socket that already listens queues connections until Hypercorn accepts them.
    config = _configure(socket.create_server((host, port)).detach())
    framework = cast(ASGIFramework, app)  # Hypercorn types messages, which Starlette does not
    shutdown = asyncio.Event()

    async def run() -> None:
        try:
            await hypercorn.asyncio.serve(framework, config, shutdown_trigger=shutdown.wait, mode="asgi")
        except* RuntimeError:
            if not shutdown.is_set():
                raise
            log.warning("requests cancelled at shutdown")  # Hypercorn starts their idle timeout, which fails

    async with asyncio.TaskGroup() as tasks:
        server = tasks.create_task(run())
        try:
            yield
        finally:
            shutdown.set()
            await asyncio.wait([server], timeout=SHUTDOWN_TIMEOUT_S)
            server.cancel()


def _configure(descriptor: int) -> Config:
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.keep_alive_timeout = IDLE_TIMEOUT_S
    config.keep_alive_max_requests = 10**9  # Hypercorn closes a connection at the limit, with requests in progress
    return config
