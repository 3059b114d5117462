"""uvicorn server of an ASGI application on a unix socket, with graceful shutdown."""

from pathlib import Path
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from services.runtime.sidecar.unix_sockets import remove_stale_socket

KEEP_ALIVE_S = 120
"""Lifetime of an unused connection in seconds, longer than the idle timeout of the sidecar."""


class UvicornServer:
    """Server of one application on a socket that only its owner may open."""

    def __init__(self, app: ASGIApp, socket_path: Path, *, lifespan: Literal["on", "off"]) -> None:
        self._socket_path = socket_path
        self._config = uvicorn.Config(
            app,
            uds=str(socket_path),
            http="httptools",
            lifespan=lifespan,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._server = uvicorn.Server(self._config)

    async def start(self) -> None:
        """Start the application and listen.

        `Server.serve` would also handle signals, and wake up ten times a second for features that are not used.

        Raises SocketInUseError, and RuntimeError when the application does not start.
        """
        remove_stale_socket(self._socket_path)
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        try:
            await self._server.startup()
        except SystemExit as error:
            raise RuntimeError("application startup failed") from error
        self._socket_path.chmod(0o600)

    async def stop(self, grace_s: float) -> None:
        """Stop listening, drain running requests for up to `grace_s`, then cancel them and stop the application."""
        self._config.timeout_graceful_shutdown = max(1, round(grace_s))
        await self._server.shutdown()
        self._socket_path.unlink(missing_ok=True)
