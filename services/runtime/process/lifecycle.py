"""Lifecycle of a service process: its server and its background tasks until shutdown."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress


async def serve_with_background_tasks(
    server: AbstractAsyncContextManager[object],
    wait_for_stop: Callable[[], Awaitable[None]],
    background_tasks: Sequence[Awaitable[None]],
) -> None:
    """Serve until `wait_for_stop` returns, drain the server, then cancel the background tasks.

    A background task that raises an exception ends the process, which its supervisor restarts.
    """
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_run_until_cancelled(work)) for work in background_tasks]
        async with server:
            # Objects created during startup are permanent; freezing excludes them from later garbage collections.
            gc.collect()
            gc.freeze()
            await wait_for_stop()
        for task in running:
            task.cancel()


async def _run_until_cancelled(work: Awaitable[None]) -> None:
    with suppress(asyncio.CancelledError):
        await work
