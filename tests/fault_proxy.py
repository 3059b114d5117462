"""TCP proxy in front of a server that injects faults: down, unresponsive or silent, invalid or dropped responses."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Self
from weakref import WeakSet

INVALID_RESPONSE_BYTES = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"users": [7]}'
)


class Fault(StrEnum):
    """Injected fault."""

    NONE = "none"
    DOWN = "down"
    UNRESPONSIVE = "unresponsive"
    """Accepts connections and never responds."""
    INVALID_RESPONSE = "invalid_response"
    """Responds to each request with an invalid response."""
    DROP_RESPONSE = "dropped_response"
    """Forwards requests and drops the responses."""


class FaultProxy:
    """Context manager that listens on a loopback port in a separate thread.

    It accepts connections itself, since an asyncio server leaks connections that arrive while it is being closed.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._fault = Fault.NONE
        self._listen_socket = socket.create_server(("127.0.0.1", 0))
        self._listen_socket.setblocking(False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop)
        self._stop_event = asyncio.Event()
        self._connection_tasks: set[asyncio.Task[None]] = set()
        self._connections: WeakSet[socket.socket] = WeakSet()
        self._silent_events: set[asyncio.Event] = set()
        self.port: int = self._listen_socket.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop_event.set)
        self._thread.join()

    def set_fault(self, fault: Fault) -> None:
        """Inject the fault into new connections and abort the open ones."""
        asyncio.run_coroutine_threadsafe(self._change_fault(fault), self._loop).result(10)

    def silence_connections(self, fault: Fault = Fault.NONE) -> None:
        """Drop all further data of the open connections without closing them; inject the fault into new ones."""
        asyncio.run_coroutine_threadsafe(self._silence_connections(fault), self._loop).result(10)

    def reset_connections(self) -> None:
        """Reset the open connections: their clients receive an error in place of an end of data."""
        asyncio.run_coroutine_threadsafe(self._reset_connections(), self._loop).result(10)

    def _run_loop(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        with self._listen_socket:
            self._loop.add_reader(self._listen_socket, self._accept)
            await self._stop_event.wait()
            self._loop.remove_reader(self._listen_socket)
        await self._close_connections()

    async def _change_fault(self, fault: Fault) -> None:
        self._fault = fault
        await self._close_connections()

    async def _silence_connections(self, fault: Fault) -> None:
        self._fault = fault
        for is_silent in self._silent_events:
            is_silent.set()

    async def _reset_connections(self) -> None:
        for connection in self._connections:
            with contextlib.suppress(OSError):  # the connection may have been closed
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self._close_connections()

    async def _close_connections(self) -> None:
        for task in self._connection_tasks:
            task.cancel()
        await asyncio.gather(*self._connection_tasks, return_exceptions=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the client may have disconnected
            connection, _ = self._listen_socket.accept()
            self._connections.add(connection)
            task = self._loop.create_task(self._handle_connection(connection))
            self._connection_tasks.add(task)
            task.add_done_callback(self._connection_tasks.discard)
            task.add_done_callback(lambda _: connection.close())  # also if the task never started

    async def _handle_connection(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(sock=connection)
            async with _closing(writer):
                await self._respond(reader, writer)

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match self._fault:
            case Fault.DOWN:
                return
            case Fault.UNRESPONSIVE:
                await asyncio.Event().wait()
            case Fault.INVALID_RESPONSE:
                while await reader.read(65536):
                    writer.write(INVALID_RESPONSE_BYTES)
                    await writer.drain()
            case _:
                await self._forward(reader, writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        is_silent = asyncio.Event()
        self._silent_events.add(is_silent)
        async with _closing(upstream_writer):
            try:
                async with asyncio.TaskGroup() as pipes:
                    pipes.create_task(_pipe(reader, upstream_writer, is_silent))
                    pipes.create_task(self._forward_response(upstream_reader, writer, is_silent))
            except* ConnectionError:
                pass
            finally:
                self._silent_events.discard(is_silent)

    async def _forward_response(
        self, upstream_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_silent: asyncio.Event
    ) -> None:
        if self._fault is Fault.DROP_RESPONSE:
            await upstream_reader.read(1)
            raise ConnectionAbortedError
        await _pipe(upstream_reader, writer, is_silent)


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter, is_silent: asyncio.Event) -> None:
    while data := await source.read(65536):
        if not is_silent.is_set():
            target.write(data)
            await target.drain()
    raise ConnectionAbortedError  # one side has disconnected, so the other is disconnected too


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close the connection after flushing written data; abort it on an error."""
    try:
        yield
        writer.close()
        await writer.wait_closed()
    finally:
        writer.transport.abort()
