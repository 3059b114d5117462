"""Answers that are kept as they were sent, until an event says that they are no longer right.

An operation whose contract names such an event by `x-cache-until-event` answers everybody alike, so its handler is not told
who asks. While nobody hears the events, nothing is kept.
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
"""An answer above it is not kept: few of its kind would fill everything."""

MAX_AGE_S = 10.0
"""How old an answer may get: an event may come late, when its producer has lost the broker and we have not."""

type CacheKey = tuple[str, bytes]
"""Path and query string."""


class ResponseCache:
    """Bodies of answers, least recently used first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_bytes: int = MAX_BYTES) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._entries: OrderedDict[CacheKey, tuple[float, bytes]] = OrderedDict()
        self._size_bytes = 0
        self._is_subscribed = False
        self.generation = 0
        """Goes up when what is kept is forgotten: an answer that was begun before is not kept after."""

    def get(self, key: CacheKey) -> bytes | None:
        """The body, if it is still good."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        if self._clock() - kept[0] > MAX_AGE_S:
            self._evict(key)
            return None
        self._entries.move_to_end(key)
        return kept[1]

    def put(self, key: CacheKey, body: bytes, generation: int) -> None:
        """Keeps a body that was begun in an edition, unless there has been another since."""
        if not self._is_subscribed or generation != self.generation or len(body) > MAX_ENTRY_BYTES:
            return
        if key in self._entries:
            self._evict(key)
        self._entries[key] = (self._clock(), body)
        self._size_bytes += len(body)
        while self._size_bytes > self._max_bytes:
            self._evict(next(iter(self._entries)))

    def _evict(self, key: CacheKey) -> None:
        self._size_bytes -= len(self._entries.pop(key)[1])

    def clear(self) -> None:
        """Something has changed."""
        self.generation += 1
        self._entries.clear()
        self._size_bytes = 0

    def set_subscribed(self, is_subscribed: bool) -> None:
        """Whether changes are heard from now on; those before may have been missed."""
        self._is_subscribed = is_subscribed
        self.clear()


type CachesByEvent = Mapping[EventType[Any], ResponseCache]
"""By the event that ends it."""


def build_caches(operations: Iterable[Operation]) -> CachesByEvent:
    """For the answers of those operations that are kept at all."""
    return {event: ResponseCache() for operation in operations if (event := operation.cache_until_event)}


async def run_invalidation(broker: Broker, caches: CachesByEvent) -> None:
    """Forgets what events have changed, until cancelled and through outages of the broker."""
    async with asyncio.TaskGroup() as tasks:
        for event, answers in caches.items():
            tasks.create_task(broker.run_with_reconnect(partial(_invalidate_on_event, event, answers)))


async def _invalidate_on_event(event: EventType[Any], cache: ResponseCache, channel: Channel) -> None:
    queue = await broadcast.subscribe(channel, event)
    cache.set_subscribed(True)
    try:
        async for _ in broadcast.iter_events(channel, queue, event):
            cache.clear()
    finally:
        cache.set_subscribed(False)
