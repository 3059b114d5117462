"""What is asked for at once is done at once: nobody waits for company, but who comes meanwhile goes together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass

from generated.problems import Reason
from services.runtime.core.errors import ApiError

MAX_BATCH_SIZE = 200
"""Items done at once, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class _PendingItem[Item, Result]:
    item: Item
    future: asyncio.Future[Result]
    context: Context


class MicroBatcher[Item, Result]:
    """Does items by `work`, which answers each of them in their order, one batch after the other.

    A batch that fails is done again item by item, so that nobody suffers from a neighbour; not when the store is away.
    """

    def __init__(
        self, handler: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], max_batch_size: int = MAX_BATCH_SIZE
    ) -> None:
        self._handler = handler
        self._max_batch_size = max_batch_size
        self._pending: list[_PendingItem[Item, Result]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """The answer for one item. Raises what `work` raises for it."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append(_PendingItem(item, answer, copy_context()))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[: self._max_batch_size], self._pending[self._max_batch_size :]
                await self._process([asked for asked in batch if not asked.future.done()])
        finally:
            self._task = None

    async def _process(self, batch: Sequence[_PendingItem[Item, Result]]) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        work = self._call_handler([asked.item for asked in batch])
        try:
            # The trace of who came first has the spans of all.
            results = await loop.create_task(work, context=batch[0].context)
        # Whatever it is, it is handed to whom it belongs.
        except Exception as error:  # noqa: BLE001
            if len(batch) > 1 and not (isinstance(error, ApiError) and error.reason is Reason.UPSTREAM_UNAVAILABLE):
                for one in batch:
                    await self._process([one])
                return
            for asked in batch:
                if not asked.future.done():
                    asked.future.set_exception(error)
            return
        for asked, result in zip(batch, results, strict=True):
            if not asked.future.done():
                asked.future.set_result(result)

    async def _call_handler(self, items: Sequence[Item]) -> Sequence[Result]:
        return await self._handler(items)
