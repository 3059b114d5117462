"""One question for all who ask the same at the same time."""

import asyncio
from collections.abc import Awaitable, Callable


class RequestCoalescer[K, V]:
    """Puts a question to `ask` once for everybody who wants it before it is put.

    Nobody joins a question that is under way: what it finds may be older than what made them ask. In traces it belongs
    to whoever asked first.
    """

    def __init__(self, fetch: Callable[[K], Awaitable[V]]) -> None:
        self._fetch = fetch
        self._pending: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K) -> V:
        """What `ask` returns or raises. Who is cancelled leaves the others their answer."""
        if key not in self._pending:
            self._pending[key] = task = asyncio.create_task(self._run(key))
            task.add_done_callback(_mark_exception_retrieved)
        return await asyncio.shield(self._pending[key])

    async def _run(self, key: K) -> V:
        # All whom one event wakes run in this turn of the loop; the question is put in the next.
        await asyncio.sleep(0)
        del self._pending[key]
        return await self._fetch(key)


def _mark_exception_retrieved(task: asyncio.Task[object]) -> None:
    """When all who asked have left, nobody else hears of a failure, and it is no news."""
    if not task.cancelled():
        task.exception()
