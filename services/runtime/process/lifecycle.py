"""How every service runs: its server, and beside it what it does in the background, until it is told to stop."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress


async def serve_with_background_tasks(
    server: AbstractAsyncContextManager[object],
    wait_for_stop: Callable[[], Awaitable[None]],
    background_tasks: Sequence[Awaitable[None]],
) -> None:
    """Serves until `stop`, while the background work goes on; that is cancelled after the server has drained.

    A background task that ends by an error ends the process, which is started again by whoever started it.
    """
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_run_until_cancelled(work)) for work in background_tasks]
        async with server:
            # What was made by now stays for good: collections need not look through it again and again.
            gc.collect()
            gc.freeze()
            await wait_for_stop()
        for task in running:
            task.cancel()


async def _run_until_cancelled(work: Awaitable[None]) -> None:
    with suppress(asyncio.CancelledError):
        await work
