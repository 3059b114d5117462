"""Which orders change, as the database tells every process at once."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

log = logging.getLogger(__name__)

CHANNEL = "orders"
"""What the trigger on `steps` notifies, with the order's id."""

AGAIN = 2.0
"""Seconds until a lost connection is made again."""


class OrderChanges:
    """One connection that listens for all who wait."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def of(self, order_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the order may have changed."""
        event = asyncio.Event()
        self._waiting[order_id].add(event)
        try:
            yield event
        finally:
            self._waiting[order_id].discard(event)
            if not self._waiting[order_id]:
                del self._waiting[order_id]

    async def run(self) -> None:
        """Listens until cancelled. After an outage everybody looks, since words may have been lost."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    for order_id in list(self._waiting):
                        self._wake(order_id)
                    async for word in connection.notifies():
                        self._wake(word.payload)
            except psycopg.OperationalError:
                log.warning("word of changing orders is away; streams go on by the clock")
                await asyncio.sleep(AGAIN)

    def _wake(self, order_id: str) -> None:
        for event in self._waiting.get(order_id, ()):
            event.set()
