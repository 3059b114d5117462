"""A gRPC server on a unix socket, with what operators ask of it: health, reflection, channelz, and a clean end."""

import asyncio
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.runtime.rpc import reflection
from services.runtime.rpc.service import ServerStreams, Servicer

SERVER_OPTIONS = [
    # The sidecar pings idle connections; by default the third ping would be answered with GOAWAY too_many_pings.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]

DRAIN_NOTICE_S = 1.0
"""How long after NOT_SERVING calls are still taken, in seconds, so that the sidecar's health check can notice."""


class SocketInUseError(Exception):
    """Another process listens on the socket, or something that is no socket lies there."""


class RpcServer:
    """Serves servicers on one unix socket. Without servicers it only answers for the process's health."""

    def __init__(self, socket_path: Path, servicers: Sequence[Servicer] = ()) -> None:
        self._socket_path = socket_path
        self._servicers = servicers
        self._streams = ServerStreams()
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=SERVER_OPTIONS)

    async def start(self) -> None:
        """Listens, and says SERVING. Raises SocketTakenError."""
        names = [servicer.SERVICE for servicer in self._servicers]
        for servicer in self._servicers:
            self._server.add_registered_method_handlers(servicer.SERVICE, servicer.build_handlers(self._streams))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        channelz.add_channelz_servicer(self._server)
        reflection.register_reflection(self._server, names)
        bind_socket(self._server, self._socket_path)
        await self._server.start()
        for name in ("", *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float, drain_notice_s: float = DRAIN_NOTICE_S) -> None:
        """Says NOT_SERVING, keeps serving for `notice_s`, ends streams, and waits for what runs up to `grace_s`."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(drain_notice_s)
        self._streams.close_all()
        await self._server.stop(grace_s)
        self._socket_path.unlink(missing_ok=True)


def bind_socket(server: grpc.aio.Server, path: Path) -> None:
    """Binds to the socket, which only its owner may open. Raises SocketTakenError."""
    remove_stale_socket(path)
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{path}")
    finally:
        os.umask(before)


def remove_stale_socket(path: Path) -> None:
    """Removes the socket that a killed process left. Raises SocketTakenError when it is alive, or is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketInUseError(f"{path} is no socket; move it away")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise SocketInUseError(f"another process listens on {path}")


@asynccontextmanager
async def serve_rpc(
    socket_path: Path, servicers: Sequence[Servicer] = (), *, grace_s: float, drain_notice_s: float = DRAIN_NOTICE_S
) -> AsyncIterator[RpcServer]:
    """Serves while the block runs, and stops cleanly after it."""
    server = RpcServer(socket_path, servicers)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(grace_s, drain_notice_s)


async def wait_for_stop_signal() -> None:
    """Waits for SIGTERM or SIGINT."""
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    await signalled.wait()
