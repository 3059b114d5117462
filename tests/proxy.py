"""A proxy between us and a server, which is down, slow, lies or loses answers when it is told to."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Self

NONSENSE = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"users": [7]}'


class Fault(StrEnum):
    """What is wrong."""

    NONE = "none"
    DOWN = "down"
    SLOW = "slow"
    """Takes requests, and answers none."""
    LYING = "lying"
    """Answers each request by nonsense."""
    LOSING = "losing"
    """Hands requests on, and loses the answers."""


class Proxy:
    """Listens on a port of the loopback, in a thread of its own; a context manager.

    It takes connections itself: a server of asyncio forgets, unclosed, what arrives while it is being closed.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._fault = Fault.NONE
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work)
        self._end = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def set(self, fault: Fault) -> None:
        """From now on; connections that are open are cut."""
        asyncio.run_coroutine_threadsafe(self._change(fault), self._loop).result(10)

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        with self._listening:
            self._loop.add_reader(self._listening, self._take)
            await self._end.wait()
            self._loop.remove_reader(self._listening)
        await self._cut()

    async def _change(self, fault: Fault) -> None:
        self._fault = fault
        await self._cut()

    async def _cut(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _take(self) -> None:
        with contextlib.suppress(OSError):  # whoever came may have gone
            taken, _ = self._listening.accept()
            task = self._loop.create_task(self._handle(taken))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            task.add_done_callback(lambda _: taken.close())  # also of a task that never began

    async def _handle(self, taken: socket.socket) -> None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(sock=taken)
            async with _closing(writer):
                await self._answer(reader, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match self._fault:
            case Fault.DOWN:
                return
            case Fault.SLOW:
                await asyncio.Event().wait()
            case Fault.LYING:
                while await reader.read(65536):
                    writer.write(NONSENSE)
                    await writer.drain()
            case _:
                await self._pass_on(reader, writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection(*self._target)
        async with _closing(ahead):
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pipe(reader, ahead))
                    both.create_task(self._back(behind, writer))
            except* ConnectionError:
                pass

    async def _back(self, behind: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault is Fault.LOSING:
            await behind.read(1)
            raise ConnectionAbortedError
        await _pipe(behind, writer)


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    raise ConnectionAbortedError  # one side has left, so the other is to leave too


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """What was written still goes out, unless the connection is cut."""
    try:
        yield
        writer.close()
        await writer.wait_closed()
    finally:
        writer.transport.abort()
