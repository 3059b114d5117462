"""Publisher confirms: the broker numbers what a channel sends, and acks or nacks a number, or all up to it."""

import asyncio
from itertools import takewhile
from typing import Any

from pika.spec import Basic


class Refused(Exception):
    """The broker did not take a message."""


class Batch:
    """Messages that somebody waits for together."""

    def __init__(self) -> None:
        self._left = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done.add_done_callback(_heard)

    def sent(self) -> None:
        """One more to wait for."""
        self._left += 1

    def answered(self, *, taken: bool) -> None:
        """One less."""
        self._left -= 1
        if self._done.done():
            return
        if not taken:
            self._done.set_exception(Refused("the broker refused a message"))
        elif self._left == 0:
            self._done.set_result(None)

    async def taken(self) -> None:
        """Waits until the broker has taken all that were sent; may be asked again. Raises Refused."""
        if self._left or self._done.done():
            await asyncio.shield(self._done)


class Confirms:
    """What a channel in confirm mode has sent and the broker has not answered yet, oldest first."""

    def __init__(self) -> None:
        self.answers = 0
        """How often the broker has said something: it is slow, not silent, as long as this grows."""
        self._sent = 0
        self._open: dict[int, Batch] = {}

    def sent(self, batch: Batch) -> None:
        """The next message belongs to this batch."""
        self._sent += 1
        self._open[self._sent] = batch
        batch.sent()

    def arrived(self, frame: Any) -> None:
        """An ack or a nack."""
        self.answers += 1
        tag, taken = frame.method.delivery_tag, isinstance(frame.method, Basic.Ack)
        tags = [*takewhile(lambda key: key <= tag, self._open)] if frame.method.multiple else [tag]
        for key in tags:
            self._open.pop(key).answered(taken=taken)


def _heard(done: asyncio.Future[None]) -> None:
    """Nobody may be waiting any more for what was refused."""
    if not done.cancelled():
        done.exception()
