"""Check that every queue of published events exists.

The broker returns an event that reaches no queue. An event with several queues, of which one was deleted, reaches the
others and is not returned. Therefore the queues of published events are checked soon afterwards. A service waits
before it declares a missing queue of its own (`topology.RESTORE_DELAY_S`), so that the check finds it missing.
"""

import math
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from generated.events import EVENTS
from services.runtime.messaging.topology import QueueMissing

CHECK_INTERVAL_S = 1.0
"""Seconds between checks while events are published; less than `topology.RESTORE_DELAY_S`."""

_QUEUES_BY_TYPE = {event.type: event.all_queues for event in EVENTS.values()}


class PublishedEvent(Protocol):
    """A published event."""

    @property
    def type(self) -> str:
        """Return the event type."""


class QueueReader(Protocol):
    """The channel method that checks a queue."""

    async def count_messages(self, queue: str) -> int:
        """Return the number of messages in a queue. Raises QueueMissing, and closes the channel."""


class RoutingCheck[Event: PublishedEvent]:
    """Published events until their queues have been checked."""

    def __init__(self) -> None:
        self.unrouted: list[Event] = []
        """Events to publish again, since one of their queues was or may have been missing."""
        self._unchecked: list[Event] = []
        self._missing: set[str] = set()
        self._due_at = 0.0

    @property
    def seconds_until_due(self) -> float:
        """Return the time until the next check; infinite without events to check or to publish again.

        A check is due CHECK_INTERVAL_S after the first event was added, or after a check that left events.
        """
        return max(0.0, self._due_at - time.monotonic()) if self._unchecked or self.unrouted else math.inf

    @property
    def is_due(self) -> bool:
        """Return whether it is time for a check."""
        return self.seconds_until_due == 0.0

    def add(self, events: Iterable[Event]) -> None:
        """Add published events. While a queue is missing, they are unrouted."""
        if math.isinf(self.seconds_until_due):
            self._due_at = time.monotonic() + CHECK_INTERVAL_S
        (self.unrouted if self._missing else self._unchecked).extend(events)

    async def find_missing_queue(self, channel: QueueReader) -> str | None:
        """Check the queues of the added events, and those that were missing. Return the first that is missing.

        The channel is then closed, and added events with another queue than those that exist are unrouted. No event may
        be added meanwhile.
        """
        self._due_at = time.monotonic() + CHECK_INTERVAL_S
        existing: set[str] = set()
        for queue in sorted(self._missing.union(*map(_get_queues, self._unchecked))):
            try:
                await channel.count_messages(queue)
            except QueueMissing:
                self._missing.add(queue)
                self.unrouted += (event for event in self._unchecked if not existing.issuperset(_get_queues(event)))
                self._unchecked.clear()
                return queue
            existing.add(queue)
        self._missing.clear()
        self._unchecked.clear()
        return None


def _get_queues(event: PublishedEvent) -> Sequence[str]:
    return _QUEUES_BY_TYPE.get(event.type, ())
