"""Check that every queue of published events exists.

The broker returns an event that reaches no queue. An event with several queues, of which one was deleted, reaches the
others and is not returned. Therefore the queues of published events are checked soon afterwards. While a queue is
missing, events that are routed to it are held, and others are published. They are held until two checks in succession
have found the queue, since a queue is bound after its declaration. A service waits before it declares a missing queue
of its own (`topology.RESTORE_DELAY_S`), so that the check finds it missing.
"""

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from generated.events import EVENTS
from services.runtime.messaging import topology
from services.runtime.messaging.topology import QueueReader

CHECK_INTERVAL_S = 1.0
"""Seconds between checks while events are published; less than `topology.RESTORE_DELAY_S`."""

_QUEUES_BY_TYPE = {event.type: event.all_queues for event in EVENTS.values()}


class PublishedEvent(Protocol):
    """A published event."""

    @property
    def type(self) -> str:
        """Return the event type."""


class RoutingCheck[Event: PublishedEvent]:
    """Published events until their queues have been checked."""

    def __init__(self) -> None:
        self.unrouted: list[Event] = []
        """Events to publish again, since one of their queues was missing."""
        self._unchecked: list[Event] = []
        self._missing: set[str] = set()
        self._unbound: set[str] = set()
        """Missing queues that existed at the last check, and may not have had their bindings yet."""
        self._due_at = 0.0

    @property
    def held_types(self) -> list[str]:
        """Return the event types that are routed to a missing queue."""
        return [type_ for type_, queues in _QUEUES_BY_TYPE.items() if not self._missing.isdisjoint(queues)]

    @property
    def seconds_until_due(self) -> float:
        """Return the time until the next check; infinite without a missing queue and events to check or publish again.

        A check is due CHECK_INTERVAL_S after the first event was added, or after a check that left something to check.
        """
        has_work = self._unchecked or self.unrouted or self._missing
        return max(0.0, self._due_at - time.monotonic()) if has_work else math.inf

    @property
    def is_due(self) -> bool:
        """Return whether it is time for a check."""
        return self.seconds_until_due == 0.0

    def add(self, events: Iterable[Event]) -> None:
        """Add published events. Those that are routed to a missing queue are unrouted."""
        if math.isinf(self.seconds_until_due):
            self._due_at = time.monotonic() + CHECK_INTERVAL_S
        for event in events:
            (self.unrouted if self._is_held(event) else self._unchecked).append(event)

    def add_unroutable(self, events: Iterable[Event]) -> None:
        """Hold the types of events that reached no queue until their queues have been checked."""
        self._missing.update(*map(_get_queues, events))

    async def find_missing_queues(self, open_channel: Callable[[], Awaitable[QueueReader]]) -> Sequence[str]:
        """Check the queues of the added events, and those that were missing. Return those that are missing.

        Added events with a missing queue are unrouted. No event may be added meanwhile.
        """
        self._due_at = time.monotonic() + CHECK_INTERVAL_S
        queues = self._missing.union(*map(_get_queues, self._unchecked))
        missing = await topology.find_missing_queues(open_channel, sorted(queues)) if queues else []
        existing = self._missing.difference(missing)
        self._unbound = existing - self._unbound
        self._missing = self._unbound.union(missing)
        self.unrouted += (event for event in self._unchecked if self._is_held(event))
        self._unchecked.clear()
        return missing

    def _is_held(self, event: Event) -> bool:
        return not self._missing.isdisjoint(_get_queues(event))


def _get_queues(event: PublishedEvent) -> Sequence[str]:
    return _QUEUES_BY_TYPE.get(event.type, ())
