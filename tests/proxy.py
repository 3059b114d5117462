"""A proxy between us and a server, which is down, slow, lies or loses answers when it is told to."""

import asyncio
import contextlib
import threading
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
    """Listens on a port of the loopback, in a thread of its own; a context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._fault = Fault.NONE
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, fault: Fault) -> None:
        """From now on; connections that are open are cut."""
        self._run(self._change(fault))

    def _run(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        await self._cut()
        self._server.abort_clients()  # those that were taken, and not yet served
        await self._server.wait_closed()

    async def _change(self, fault: Fault) -> None:
        self._fault = fault
        await self._cut()

    async def _cut(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            await _close(writer)

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
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pipe(reader, ahead))
                both.create_task(self._back(behind, writer))
        except* ConnectionError:
            pass
        finally:
            await _close(ahead)

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


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
