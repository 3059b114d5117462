"""Response cache: LRU cache of encoded responses, invalidated by domain events.

An operation with `x-cache-until-event` in the contract returns the same response to every caller, so its handler does
not receive the principal. Nothing is cached while the process is not subscribed to the events.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from services.runtime.messaging import broadcast
from services.runtime.messaging.channel import Channel
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.events import EventType
from services.runtime.rest.types import Operation

MAX_BYTES = 32 * 1024 * 1024
MAX_ENTRY_BYTES = MAX_BYTES // 32
"""Maximum size of an entry. A few larger ones would fill the cache."""

ENTRY_OVERHEAD_BYTES = 512
"""Memory of an entry's objects, in addition to the text of its key and its body."""

MAX_AGE_S = 10.0
"""Maximum age of a cached response. An event arrives late when its producer has lost the broker connection."""

type CacheKey = tuple[str, bytes]
"""Request path and query string."""


class ResponseCache:
    """LRU cache of response bodies, limited by memory and age.

    The keys count too: any client chooses the query strings, and their responses may be shorter.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_bytes: int = MAX_BYTES) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._entries: OrderedDict[CacheKey, tuple[float, bytes]] = OrderedDict()
        self._size_bytes = 0
        self._is_subscribed = False
        self.generation = 0
        """Number of invalidations. A response computed in an earlier generation is not stored."""

    def get(self, key: CacheKey) -> bytes | None:
        """Return the cached body, or None when it is missing or expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        cached_at, body = entry
        if self._clock() - cached_at > MAX_AGE_S:
            self._evict(key)
            return None
        self._entries.move_to_end(key)
        return body

    def put(self, key: CacheKey, body: bytes, generation: int) -> None:
        """Store a body computed in `generation`, unless the cache has been invalidated since."""
        size_bytes = _measure(key, body)
        if not self._is_subscribed or generation != self.generation or size_bytes > MAX_ENTRY_BYTES:
            return
        if key in self._entries:
            self._evict(key)
        self._entries[key] = (self._clock(), body)
        self._size_bytes += size_bytes
        while self._size_bytes > self._max_bytes:
            self._evict(next(iter(self._entries)))

    def _evict(self, key: CacheKey) -> None:
        _, body = self._entries.pop(key)
        self._size_bytes -= _measure(key, body)

    def clear(self) -> None:
        """Invalidate all entries."""
        self.generation += 1
        self._entries.clear()
        self._size_bytes = 0

    def set_subscribed(self, is_subscribed: bool) -> None:
        """Enable or disable the cache and invalidate all entries, as earlier events may have been missed."""
        self._is_subscribed = is_subscribed
        self.clear()


def _measure(key: CacheKey, body: bytes) -> int:
    """Return the approximate memory of an entry in bytes."""
    path, query = key
    return len(path) + len(query) + len(body) + ENTRY_OVERHEAD_BYTES


type CachesByEvent = Mapping[EventType[Any], ResponseCache]
"""Caches by the event that invalidates them."""


def build_caches(operations: Iterable[Operation]) -> CachesByEvent:
    """Return one cache for each invalidating event of the operations."""
    return {event: ResponseCache() for operation in operations if (event := operation.cache_until_event)}


async def run_invalidation(broker: Broker, caches: CachesByEvent) -> None:
    """Invalidate the caches by events until cancelled; reconnect after broker outages."""
    async with asyncio.TaskGroup() as tasks:
        for event, cache in caches.items():
            tasks.create_task(broker.run_with_reconnect(partial(_invalidate_on_event, event, cache)))


async def _invalidate_on_event(event: EventType[Any], cache: ResponseCache, channel: Channel) -> None:
    queue = await broadcast.subscribe(channel, event)
    cache.set_subscribed(True)
    try:
        async for _ in broadcast.iter_events(channel, queue, event):
            cache.clear()
    finally:
        cache.set_subscribed(False)
