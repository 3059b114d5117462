"""Servers of a service: gRPC with health service, reflection and channelz, and unary RPCs over HTTP/1.1."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.runtime.core.pagination import PageTokenSigner
from services.runtime.rpc import reflection
from services.runtime.rpc.servicer import Servicer
from services.runtime.rpc.streams import ServerStreams
from services.runtime.sidecar.unary_app import UnaryApp, UnaryHandler
from services.runtime.sidecar.unary_health import HEALTH_CHECK_PATH, build_health_handler
from services.runtime.sidecar.unix_sockets import get_unary_socket_path, remove_stale_socket
from services.runtime.sidecar.uvicorn_server import UvicornServer

SERVER_OPTIONS = [
    # The sidecar pings idle connections. By default the third ping is answered with GOAWAY too_many_pings.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]

DRAIN_NOTICE_S = 1.0
"""Seconds for which calls are accepted after NOT_SERVING, so that the sidecar's health check detects it."""


class RpcServer:
    """Server of servicers on a unix socket. Without servicers it serves health, channelz and reflection only.

    With servicers, a second socket beside it serves their unary methods and the health check over HTTP/1.1, which costs
    less CPU time.
    """

    def __init__(
        self, socket_path: Path, servicers: Sequence[Servicer] = (), page_tokens: PageTokenSigner | None = None
    ) -> None:
        self._socket_path = socket_path
        self._servicers = servicers
        self._page_tokens = page_tokens
        self._streams = ServerStreams()
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        self._unary_server: UvicornServer | None = None

    async def start(self) -> None:
        """Listen and report SERVING.

        Raises SocketInUseError.
        """
        names = [servicer.SERVICE for servicer in self._servicers]
        for servicer in self._servicers:
            handlers = servicer.build_handlers(self._streams, self._page_tokens)
            self._server.add_registered_method_handlers(servicer.SERVICE, handlers)
        if self._servicers:
            self._unary_server = self._create_unary_server()
            await self._unary_server.start()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        channelz.add_channelz_servicer(self._server)
        reflection.register_reflection(self._server, names)
        bind_socket(self._server, self._socket_path)
        await self._server.start()
        for name in ("", *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float, drain_notice_s: float = DRAIN_NOTICE_S) -> None:
        """Report NOT_SERVING, wait for `drain_notice_s`, end streams, and drain running calls for up to `grace_s`."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(drain_notice_s)
        self._streams.close_all()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._server.stop(grace_s))
            if self._unary_server is not None:
                tasks.create_task(self._unary_server.stop(grace_s))
        self._socket_path.unlink(missing_ok=True)

    def _create_unary_server(self) -> UvicornServer:
        handlers: dict[str, UnaryHandler] = {HEALTH_CHECK_PATH: build_health_handler(self._health)}
        for servicer in self._servicers:
            handlers |= servicer.build_unary_handlers(self._page_tokens)
        path = get_unary_socket_path(self._socket_path)
        return UvicornServer(UnaryApp(handlers), path, lifespan="off", cancel_on_disconnect=True)


def bind_socket(server: grpc.aio.Server, path: Path) -> None:
    """Bind the server to a socket that only its owner may open.

    Raises SocketInUseError.
    """
    remove_stale_socket(path)
    previous_umask = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{path}")
    finally:
        os.umask(previous_umask)


@asynccontextmanager
async def serve_rpc(
    socket_path: Path,
    servicers: Sequence[Servicer] = (),
    page_tokens: PageTokenSigner | None = None,
    *,
    grace_s: float,
    drain_notice_s: float = DRAIN_NOTICE_S,
) -> AsyncIterator[RpcServer]:
    """Serve while the block runs, then shut down gracefully."""
    server = RpcServer(socket_path, servicers, page_tokens)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(grace_s, drain_notice_s)


async def wait_for_stop_signal() -> None:
    """Wait for SIGTERM or SIGINT."""
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_requested.set)
    await stop_requested.wait()
