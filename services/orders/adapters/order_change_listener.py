"""Order change notifications with PostgreSQL LISTEN/NOTIFY."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import override

from services.orders.usecases.order_tracking import OrderChangeListener
from services.runtime.storage.listener import Listener

NOTIFY_CHANNEL = "orders"
"""Channel that the triggers on `order_transitions` and `deliverer_positions` notify, with the order's id as payload."""


UNUSED_TIMEOUT_S = 60.0
"""Time after the last subscription in which the process still listens, since clients reconnect."""


class PostgresOrderChangeListener(OrderChangeListener):
    """One LISTEN connection, shared by all subscribers of the process. Without subscribers, it is closed.

    A process that listens is woken up by each change of any order.
    """

    def __init__(self, url: str) -> None:
        self._has_subscribers, self._has_no_subscribers = asyncio.Event(), asyncio.Event()
        self._subscribers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener = Listener(
            url,
            NOTIFY_CHANNEL,
            on_notification=self._notify_subscribers,
            on_state_change=self._notify_all_when_listening,
        )

    @override
    @contextmanager
    def subscribe(self, order_id: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._subscribers[order_id].add(event)
        self._has_subscribers.set()
        self._has_no_subscribers.clear()
        try:
            yield event
        finally:
            self._subscribers[order_id].discard(event)
            if not self._subscribers[order_id]:
                del self._subscribers[order_id]
            if not self._subscribers:
                self._has_subscribers.clear()
                self._has_no_subscribers.set()

    async def run(self) -> None:
        """Listen while there are subscribers, until cancelled. They poll while the listener is not listening."""
        while True:
            await self._has_subscribers.wait()
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listener.run())
                await self._wait_until_unused()
                listening.cancel()

    async def _wait_until_unused(self) -> None:
        """Wait until there have been no subscribers for UNUSED_TIMEOUT_S."""
        while True:
            await self._has_no_subscribers.wait()
            try:
                async with asyncio.timeout(UNUSED_TIMEOUT_S):
                    await self._has_subscribers.wait()
            except TimeoutError:
                return

    def _notify_all_when_listening(self) -> None:
        """Notify all subscribers after a reconnect, since notifications may have been lost."""
        if self._listener.is_listening:
            for order_id in list(self._subscribers):
                self._notify_subscribers(order_id)

    def _notify_subscribers(self, order_id: str) -> None:
        for event in self._subscribers.get(order_id, ()):
            event.set()
