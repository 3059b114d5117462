"""Publisher confirms: the broker numbers what a channel sends, and acks or nacks a number, or all up to it."""

import asyncio
from itertools import takewhile
from typing import Any

from pika.spec import Basic


class PublishNacked(Exception):
    """The broker did not take a message."""


class ConfirmBatch:
    """Messages that somebody waits for together."""

    def __init__(self) -> None:
        self._unconfirmed_count = 0
        self._completed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._completed.add_done_callback(_mark_exception_retrieved)

    def track_sent(self) -> None:
        """One more to wait for."""
        self._unconfirmed_count += 1

    def track_confirmed(self, *, acked: bool) -> None:
        """One less."""
        self._unconfirmed_count -= 1
        if self._completed.done():
            return
        if not acked:
            self._completed.set_exception(PublishNacked("the broker refused a message"))
        elif self._unconfirmed_count == 0:
            self._completed.set_result(None)

    async def wait(self) -> None:
        """Waits until the broker has taken all that were sent; may be asked again. Raises Refused."""
        if self._unconfirmed_count or self._completed.done():
            await asyncio.shield(self._completed)


class PublisherConfirms:
    """What a channel in confirm mode has sent and the broker has not answered yet, oldest first."""

    def __init__(self) -> None:
        self.confirm_count = 0
        """How often the broker has said something: it is slow, not silent, as long as this grows."""
        self._last_delivery_tag = 0
        self._unconfirmed: dict[int, ConfirmBatch] = {}

    def register(self, batch: ConfirmBatch) -> None:
        """The next message belongs to this batch."""
        self._last_delivery_tag += 1
        self._unconfirmed[self._last_delivery_tag] = batch
        batch.track_sent()

    def on_confirm(self, frame: Any) -> None:
        """An ack or a nack."""
        self.confirm_count += 1
        tag, taken = frame.method.delivery_tag, isinstance(frame.method, Basic.Ack)
        tags = [*takewhile(lambda key: key <= tag, self._unconfirmed)] if frame.method.multiple else [tag]
        for key in tags:
            self._unconfirmed.pop(key).track_confirmed(acked=taken)


def _mark_exception_retrieved(future: asyncio.Future[None]) -> None:
    """Nobody may be waiting any more for what was refused."""
    if not future.cancelled():
        future.exception()
