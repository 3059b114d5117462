"""Which orders change, as the database tells every process at once."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

log = logging.getLogger(__name__)

NOTIFY_CHANNEL = "orders"
"""What the trigger on `steps` notifies, with the order's id."""

RECONNECT_DELAY_S = 2.0
"""Seconds until a lost connection is made again."""


class PostgresOrderChangeListener:
    """One connection that listens for all who wait."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._subscribers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def subscribe(self, order_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the order may have changed."""
        event = asyncio.Event()
        self._subscribers[order_id].add(event)
        try:
            yield event
        finally:
            self._subscribers[order_id].discard(event)
            if not self._subscribers[order_id]:
                del self._subscribers[order_id]

    async def run(self) -> None:
        """Listens until cancelled. After an outage everybody looks, since words may have been lost."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
                    for order_id in list(self._subscribers):
                        self._notify_subscribers(order_id)
                    async for word in connection.notifies():
                        self._notify_subscribers(word.payload)
            except psycopg.OperationalError:
                log.warning("word of changing orders is away; streams go on by the clock")
                await asyncio.sleep(RECONNECT_DELAY_S)

    def _notify_subscribers(self, order_id: str) -> None:
        for event in self._subscribers.get(order_id, ()):
            event.set()
