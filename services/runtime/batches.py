"""What is asked for at once is done at once: nobody waits for company, but who comes meanwhile goes together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass

from generated.problems import Reason
from services.runtime.refusal import Refusal

MOST = 200
"""Items done at once, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class _Asked[Item, Result]:
    item: Item
    answer: asyncio.Future[Result]
    context: Context


class Batches[Item, Result]:
    """Does items by `work`, which answers each of them in their order, one batch after the other.

    A batch that fails is done again item by item, so that nobody suffers from a neighbour; not when the store is away.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], most: int = MOST) -> None:
        self._work = work
        self._most = most
        self._waiting: list[_Asked[Item, Result]] = []
        self._running: asyncio.Task[None] | None = None

    async def do(self, item: Item) -> Result:
        """The answer for one item. Raises what `work` raises for it."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(item, answer, copy_context()))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._settle([asked for asked in batch if not asked.answer.done()])
        finally:
            self._running = None

    async def _settle(self, batch: Sequence[_Asked[Item, Result]]) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        work = self._done([asked.item for asked in batch])
        try:
            # The trace of who came first has the spans of all.
            results = await loop.create_task(work, context=batch[0].context)
        # Whatever it is, it is handed to whom it belongs.
        except Exception as error:  # noqa: BLE001
            if len(batch) > 1 and not (isinstance(error, Refusal) and error.reason is Reason.UPSTREAM_UNAVAILABLE):
                for one in batch:
                    await self._settle([one])
                return
            for asked in batch:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
            return
        for asked, result in zip(batch, results, strict=True):
            if not asked.answer.done():
                asked.answer.set_result(result)

    async def _done(self, items: Sequence[Item]) -> Sequence[Result]:
        return await self._work(items)
