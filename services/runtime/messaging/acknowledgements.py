"""Acknowledgements of received messages: those of one iteration of the event loop share frames.

A frame with the flag `multiple` acknowledges all messages up to a delivery tag.
"""

import asyncio
from collections.abc import Callable
from itertools import takewhile


class Acknowledgements:
    """Delivery tags of the unacknowledged messages of a channel, oldest first.

    `send` acknowledges one message, or with True all messages up to a delivery tag.
    """

    def __init__(self, send: Callable[[int, bool], None]) -> None:
        self._send = send
        self._unacknowledged: dict[int, None] = {}
        self._acknowledged: set[int] = set()

    def register(self, delivery_tag: int) -> None:
        """Add a received message."""
        self._unacknowledged[delivery_tag] = None

    def add(self, delivery_tag: int) -> None:
        """Acknowledge a message in the next iteration of the event loop."""
        if not self._acknowledged:
            asyncio.get_running_loop().call_soon(self._flush)
        self._acknowledged.add(delivery_tag)

    def _flush(self) -> None:
        oldest = [*takewhile(self._acknowledged.__contains__, self._unacknowledged)]
        if len(oldest) > 1:
            self._send(oldest[-1], True)
            self._acknowledged.difference_update(oldest)
            for delivery_tag in oldest:
                del self._unacknowledged[delivery_tag]
        for delivery_tag in sorted(self._acknowledged):
            self._send(delivery_tag, False)
            del self._unacknowledged[delivery_tag]
        self._acknowledged.clear()
