"""Micro-batching: items submitted while a batch runs form the next batch. By default, a single item is not delayed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from typing import NamedTuple

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

MAX_BATCH_SIZE = 200
"""Default maximum number of items in a batch."""


class _PendingItem[Item, Result](NamedTuple):
    item: Item
    future: asyncio.Future[Result]
    context: Context
    is_sampled: bool


class MicroBatcher[Item, Result]:
    """Processes items in batches, one batch at a time; `handler` returns the results in the order of the items.

    A failed batch is repeated item by item, so that a failing item does not affect the others. It is not repeated if
    the error is UPSTREAM_UNAVAILABLE.

    The spans of a batch belong to the trace of its first item, or to that of another one if only that is sampled.

    With `delay_s`, a batch starts that many seconds later, or when it is full, so that items submitted meanwhile share
    it.
    """

    def __init__(
        self,
        handler: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        max_batch_size: int = MAX_BATCH_SIZE,
        *,
        delay_s: float = 0.0,
    ) -> None:
        self._handler = handler
        self._max_batch_size = max_batch_size
        self._delay_s = delay_s
        self._pending: list[_PendingItem[Item, Result]] = []
        self._task: asyncio.Task[None] | None = None
        self._full = asyncio.Event()

    async def submit(self, item: Item) -> Result:
        """Return the result for one item, or raise the exception of `handler` for it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append(_PendingItem(item, future, copy_context(), tracing.is_current_sampled()))
        if len(self._pending) >= self._max_batch_size:
            self._full.set()
        if self._task is None:
            self._start_batch()
        return await future

    def _start_batch(self) -> None:
        self._task = asyncio.create_task(self._run_batch(), context=self._pending[0].context)

    async def _run_batch(self) -> None:
        try:
            if self._delay_s and len(self._pending) < self._max_batch_size:
                self._full.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._delay_s):
                        await self._full.wait()
            batch, self._pending = self._pending[: self._max_batch_size], self._pending[self._max_batch_size :]
            await self._process_in_sampled_trace([pending for pending in batch if not pending.future.done()])
        finally:
            self._task = None
        if self._pending:
            self._start_batch()

    async def _process_in_sampled_trace(self, batch: Sequence[_PendingItem[Item, Result]]) -> None:
        sampled = next((pending for pending in batch if pending.is_sampled), None)
        if sampled is None or tracing.is_current_sampled():
            await self._process(batch)
        else:
            await asyncio.create_task(self._process(batch), context=sampled.context)

    async def _process(self, batch: Sequence[_PendingItem[Item, Result]]) -> None:
        if not batch:
            return
        try:
            results = await self._handler([pending.item for pending in batch])
        # Every exception is passed on to the callers of `submit`.
        except Exception as error:  # noqa: BLE001
            if len(batch) > 1 and not (isinstance(error, ApiError) and error.reason is Reason.UPSTREAM_UNAVAILABLE):
                for pending in batch:
                    await asyncio.create_task(self._process([pending]), context=pending.context)
                return
            for pending in batch:
                if not pending.future.done():
                    pending.future.set_exception(error)
            return
        for pending, result in zip(batch, results, strict=True):
            if not pending.future.done():
                pending.future.set_result(result)
