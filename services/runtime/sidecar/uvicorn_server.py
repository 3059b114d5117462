"""uvicorn servers that take no processor time while they wait for requests."""

import asyncio
from pathlib import Path
from types import FrameType
from typing import Literal, override

import uvicorn
from starlette.types import ASGIApp

from services.runtime.sidecar.http1_protocol import CancellingHttp1Protocol, Http1Protocol
from services.runtime.sidecar.unix_sockets import remove_stale_socket

KEEP_ALIVE_S = 120
"""Lifetime of an unused connection in seconds, longer than the idle timeout of the sidecar."""


class EventServer(uvicorn.Server):
    """Server that waits for `stop` or a signal. `uvicorn.Server` wakes up ten times a second for unused features."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Begin to shut down."""
        self.should_exit = True
        self._stopped.set()

    @override
    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._stopped.wait()

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)


class UvicornServer:
    """Server of one application on a unix socket that only its owner may open, with graceful shutdown.

    With `cancel_on_disconnect`, the end of a connection cancels the request in progress.
    """

    def __init__(
        self,
        app: ASGIApp,
        socket_path: Path,
        *,
        lifespan: Literal["on", "off"],
        cancel_on_disconnect: bool = False,
    ) -> None:
        self._socket_path = socket_path
        self._config = uvicorn.Config(
            app,
            uds=str(socket_path),
            http=CancellingHttp1Protocol if cancel_on_disconnect else Http1Protocol,
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
