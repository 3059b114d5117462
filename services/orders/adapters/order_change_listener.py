"""Order change notifications with PostgreSQL LISTEN/NOTIFY."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

log = logging.getLogger(__name__)

NOTIFY_CHANNEL = "orders"
"""Channel that the trigger on `order_transitions` notifies, with the order's id as payload."""

RECONNECT_DELAY_S = 2.0


class PostgresOrderChangeListener:
    """One LISTEN connection, shared by all subscribers of the process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._subscribers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def subscribe(self, order_id: str) -> Iterator[asyncio.Event]:
        """Subscribe to an order; the event is set when the order may have changed."""
        event = asyncio.Event()
        self._subscribers[order_id].add(event)
        try:
            yield event
        finally:
            self._subscribers[order_id].discard(event)
            if not self._subscribers[order_id]:
                del self._subscribers[order_id]

    async def run(self) -> None:
        """Listen until cancelled. Notify all subscribers after a reconnect, since notifications may have been lost."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
                    for order_id in list(self._subscribers):
                        self._notify_subscribers(order_id)
                    async for notification in connection.notifies():
                        self._notify_subscribers(notification.payload)
            except psycopg.OperationalError:
                log.warning("order change notifications unavailable; falling back to polling")
                await asyncio.sleep(RECONNECT_DELAY_S)

    def _notify_subscribers(self, order_id: str) -> None:
        for event in self._subscribers.get(order_id, ()):
            event.set()
