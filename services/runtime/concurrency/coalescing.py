"""Request coalescing: concurrent callers with the same key share one call."""

import asyncio
from collections.abc import Awaitable, Callable

from services.runtime.concurrency.futures import mark_exception_retrieved


class RequestCoalescer[K, V]:
    """Calls `fetch` once for all callers that request a key before the call starts.

    A caller never joins a running call, whose result may be older than the event that caused the request. The trace
    spans of a call belong to its first caller.
    """

    def __init__(self, fetch: Callable[[K], Awaitable[V]]) -> None:
        self._fetch = fetch
        self._pending: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K) -> V:
        """Return the result of `fetch`, or raise its exception. Cancelling one caller does not affect the others."""
        if key not in self._pending:
            self._pending[key] = task = asyncio.create_task(self._run(key))
            task.add_done_callback(mark_exception_retrieved)
        return await asyncio.shield(self._pending[key])

    async def _run(self, key: K) -> V:
        # All callers that one event resumes run in this iteration of the event loop; the call starts in the next.
        await asyncio.sleep(0)
        del self._pending[key]
        return await self._fetch(key)
