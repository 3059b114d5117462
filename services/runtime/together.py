"""One question for all who ask the same at the same time."""

import asyncio
from collections.abc import Awaitable, Callable


class Together[K, V]:
    """Puts a question to `ask` once for everybody who wants it before it is put.

    Nobody joins a question that is under way: what it finds may be older than what made them ask. In traces it belongs
    to whoever asked first.
    """

    def __init__(self, ask: Callable[[K], Awaitable[V]]) -> None:
        self._ask = ask
        self._next: dict[K, asyncio.Task[V]] = {}

    async def get(self, about: K) -> V:
        """What `ask` returns or raises. Who is cancelled leaves the others their answer."""
        if about not in self._next:
            self._next[about] = task = asyncio.create_task(self._put(about))
            task.add_done_callback(_heard)
        return await asyncio.shield(self._next[about])

    async def _put(self, about: K) -> V:
        # All whom one event wakes run in this turn of the loop; the question is put in the next.
        await asyncio.sleep(0)
        del self._next[about]
        return await self._ask(about)


def _heard(task: asyncio.Task[object]) -> None:
    """When all who asked have left, nobody else hears of a failure, and it is no news."""
    if not task.cancelled():
        task.exception()
