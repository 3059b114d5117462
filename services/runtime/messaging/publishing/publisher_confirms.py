"""Publisher confirms: the broker acks or nacks published messages by delivery tag, singly or up to a tag."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pika.spec import Basic

from services.runtime.concurrency.futures import mark_exception_retrieved


class PublishNacked(Exception):
    """The broker nacked a message."""


class ConfirmBatch:
    """Published messages whose confirms are awaited together."""

    def __init__(self, message_ids: Sequence[str]) -> None:
        self.message_ids = message_ids
        self.returned_ids: set[str] = set()
        """Ids of messages that the broker returned because they reached no queue; it acks them nevertheless."""
        self._unconfirmed_count = len(message_ids)
        self._completed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._completed.add_done_callback(mark_exception_retrieved)

    @property
    def is_confirmed(self) -> bool:
        """Return whether no message of the batch awaits its confirm."""
        return self._unconfirmed_count == 0

    def track_confirmed(self, *, acked: bool) -> None:
        """Count one message as confirmed; a nack fails the batch."""
        self._unconfirmed_count -= 1
        if self._completed.done():
            return
        if not acked:
            self._completed.set_exception(PublishNacked("message nacked by the broker"))
        elif self.is_confirmed:
            self._completed.set_result(None)

    async def wait(self) -> None:
        """Wait until all messages are acked; may be called again after a timeout. Raises PublishNacked."""
        if not self.is_confirmed or self._completed.done():
            await asyncio.shield(self._completed)


class PublisherConfirms:
    """Unconfirmed messages of a channel in confirm mode."""

    def __init__(self) -> None:
        self.confirm_count = 0
        """Number of received confirms; while it increases, the broker is slow but responsive."""
        self._last_delivery_tag = 0
        self._first_unconfirmed_tag = 1
        """All messages with lower tags are confirmed."""
        self._unconfirmed: dict[int, ConfirmBatch] = {}

    def register(self, message_ids: Sequence[str]) -> ConfirmBatch:
        """Assign the next delivery tags to the messages of a batch; called after they were published."""
        batch = ConfirmBatch(message_ids)
        first_tag = self._last_delivery_tag + 1
        self._last_delivery_tag += len(message_ids)
        self._unconfirmed |= dict.fromkeys(range(first_tag, self._last_delivery_tag + 1), batch)
        return batch

    def on_return(self, message_id: str) -> None:
        """Handle a returned mandatory message; the broker returns a message before it acks it."""
        for batch in set(self._unconfirmed.values()):
            if message_id in batch.message_ids:
                batch.returned_ids.add(message_id)

    def on_confirm(self, frame: Any) -> None:
        """Handle an ack or nack frame."""
        self.confirm_count += 1
        delivery_tag, acked = frame.method.delivery_tag, isinstance(frame.method, Basic.Ack)
        if not frame.method.multiple:
            self._unconfirmed.pop(delivery_tag).track_confirmed(acked=acked)
            if not self._unconfirmed:
                self._first_unconfirmed_tag = self._last_delivery_tag + 1
            return
        for tag in range(self._first_unconfirmed_tag, delivery_tag + 1):
            if (batch := self._unconfirmed.pop(tag, None)) is not None:
                batch.track_confirmed(acked=acked)
        self._first_unconfirmed_tag = max(self._first_unconfirmed_tag, delivery_tag + 1)
