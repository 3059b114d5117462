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


class PostgresOrderChangeListener(OrderChangeListener):
    """One LISTEN connection, shared by all subscribers of the process."""

    def __init__(self, url: str) -> None:
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
        try:
            yield event
        finally:
            self._subscribers[order_id].discard(event)
            if not self._subscribers[order_id]:
                del self._subscribers[order_id]

    async def run(self) -> None:
        """Listen until cancelled. Subscribers poll while the listener is not listening."""
        await self._listener.run()

    def _notify_all_when_listening(self) -> None:
        """Notify all subscribers after a reconnect, since notifications may have been lost."""
        if self._listener.is_listening:
            for order_id in list(self._subscribers):
                self._notify_subscribers(order_id)

    def _notify_subscribers(self, order_id: str) -> None:
        for event in self._subscribers.get(order_id, ()):
            event.set()
