"""Answers that are kept as they were sent, until an event says that they are no longer right.

An operation whose contract names such an event by `x-kept-until` answers everybody alike, so its handler is not told
who asks. While nobody hears the events, nothing is kept.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from services.runtime import announcements
from services.runtime.amqp import Channel
from services.runtime.broker import Broker
from services.runtime.events import EventType
from services.runtime.rest.types import Operation

MOST_BYTES = 32 * 1024 * 1024
LARGEST = MOST_BYTES // 32
"""An answer above it is not kept: few of its kind would fill everything."""

LONGEST_S = 10.0
"""How old an answer may get: an event may come late, when its producer has lost the broker and we have not."""

type Key = tuple[str, bytes]
"""Path and query string."""


class KeptAnswers:
    """Bodies of answers, least recently used first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MOST_BYTES) -> None:
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[Key, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0
        self._heard = False
        self.edition = 0
        """Goes up when what is kept is forgotten: an answer that was begun before is not kept after."""

    def get(self, key: Key) -> bytes | None:
        """The body, if it is still good."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if self._clock() - kept[0] > LONGEST_S:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept[1]

    def put(self, key: Key, body: bytes, edition: int) -> None:
        """Keeps a body that was begun in an edition, unless there has been another since."""
        if not self._heard or edition != self.edition or len(body) > LARGEST:
            return
        if key in self._kept:
            self._drop(key)
        self._kept[key] = (self._clock(), body)
        self._bytes += len(body)
        while self._bytes > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        self._bytes -= len(self._kept.pop(key)[1])

    def forget(self) -> None:
        """Something has changed."""
        self.edition += 1
        self._kept.clear()
        self._bytes = 0

    def hear(self, now: bool) -> None:
        """Whether changes are heard from now on; those before may have been missed."""
        self._heard = now
        self.forget()


type KeptUntil = Mapping[EventType[Any], KeptAnswers]
"""By the event that ends it."""


def room(operations: Iterable[Operation]) -> KeptUntil:
    """For the answers of those operations that are kept at all."""
    return {event: KeptAnswers() for operation in operations if (event := operation.kept_until)}


async def follow(broker: Broker, kept: KeptUntil) -> None:
    """Forgets what events have changed, until cancelled and through outages of the broker."""
    async with asyncio.TaskGroup() as tasks:
        for event, answers in kept.items():
            tasks.create_task(broker.keep(partial(_listen, event, answers)))


async def _listen(event: EventType[Any], answers: KeptAnswers, channel: Channel) -> None:
    queue = await announcements.listen(channel, event)
    answers.hear(True)
    try:
        async for _ in announcements.heard(channel, queue, event):
            answers.forget()
    finally:
        answers.hear(False)
