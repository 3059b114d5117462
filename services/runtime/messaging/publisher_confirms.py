"""Publisher confirms: the broker acks or nacks published messages by delivery tag, singly or up to a tag."""

import asyncio
from itertools import takewhile
from typing import Any

from pika.spec import Basic

from services.runtime.concurrency.futures import mark_exception_retrieved


class PublishNacked(Exception):
    """The broker nacked a message."""


class ConfirmBatch:
    """Published messages whose confirms are awaited together."""

    def __init__(self) -> None:
        self.returned_ids: set[str] = set()
        """Ids of messages that the broker returned because they reached no queue; it acks them nevertheless."""
        self._unconfirmed_count = 0
        self._completed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._completed.add_done_callback(mark_exception_retrieved)

    @property
    def is_empty(self) -> bool:
        """True when no message of the batch awaits its confirm."""
        return self._unconfirmed_count == 0

    def track_sent(self) -> None:
        """Count one more message as unconfirmed."""
        self._unconfirmed_count += 1

    def track_confirmed(self, *, acked: bool) -> None:
        """Count one message as confirmed; a nack fails the batch."""
        self._unconfirmed_count -= 1
        if self._completed.done():
            return
        if not acked:
            self._completed.set_exception(PublishNacked("message nacked by the broker"))
        elif self._unconfirmed_count == 0:
            self._completed.set_result(None)

    async def wait(self) -> None:
        """Wait until all messages are acked; may be called again after a timeout. Raises PublishNacked."""
        if self._unconfirmed_count or self._completed.done():
            await asyncio.shield(self._completed)


class PublisherConfirms:
    """Unconfirmed messages of a channel in confirm mode, oldest first."""

    def __init__(self) -> None:
        self.confirm_count = 0
        """Number of received confirms; while it increases, the broker is slow but responsive."""
        self._last_delivery_tag = 0
        self._unconfirmed: dict[int, tuple[ConfirmBatch, str]] = {}

    def register(self, batch: ConfirmBatch, message_id: str) -> None:
        """Assign the next delivery tag to this message; called after it was published."""
        self._last_delivery_tag += 1
        self._unconfirmed[self._last_delivery_tag] = batch, message_id
        batch.track_sent()

    def on_return(self, message_id: str) -> None:
        """Handle a returned mandatory message; the broker returns a message before it acks it."""
        for batch, unconfirmed_id in self._unconfirmed.values():
            if unconfirmed_id == message_id:
                batch.returned_ids.add(message_id)

    def on_confirm(self, frame: Any) -> None:
        """Handle an ack or nack frame."""
        self.confirm_count += 1
        delivery_tag, acked = frame.method.delivery_tag, isinstance(frame.method, Basic.Ack)
        if frame.method.multiple:
            tags = [*takewhile(lambda tag: tag <= delivery_tag, self._unconfirmed)]
        else:
            tags = [delivery_tag]
        for tag in tags:
            batch, _ = self._unconfirmed.pop(tag)
            batch.track_confirmed(acked=acked)
