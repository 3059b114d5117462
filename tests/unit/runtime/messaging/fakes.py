"""Fake of pika's blocking channel with dead-letter queues in memory."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from pika.exceptions import ChannelClosedByBroker
from pika.spec import BasicProperties

from services.runtime.messaging.topology import get_queue_exchange

type QueuedMessage = tuple[BasicProperties, bytes]


class FakeBlockingChannel:
    """Queues in memory. Fetched messages are hidden until they are acknowledged or recovered.

    Recovered messages return after `requeue_sleeps` calls of `connection.sleep`.
    """

    def __init__(self, **messages: Iterable[QueuedMessage]) -> None:
        self.queues: dict[str, list[QueuedMessage]] = {name: list(each) for name, each in messages.items()}
        self.publish_error: Exception | None = None
        self.get_error: Exception | None = None
        self.requeue_sleeps = 0
        self.connection = SimpleNamespace(sleep=self._sleep)
        self._fetched: dict[int, tuple[str, QueuedMessage]] = {}

    def queue_declare(self, queue: str, *, passive: bool) -> Any:
        assert passive, "a command must not create a queue"
        if queue not in self.queues:
            raise ChannelClosedByBroker(404, f"NOT_FOUND - no queue '{queue}'")
        return SimpleNamespace(method=SimpleNamespace(message_count=len(self.queues[queue])))

    def basic_get(self, queue: str) -> tuple[Any, Any, Any]:
        if self.get_error is not None:
            raise self.get_error
        if not self.queues[queue]:
            return None, None, None
        delivery_tag = len(self._fetched) + 1
        message = self.queues[queue].pop(0)
        self._fetched[delivery_tag] = queue, message
        return SimpleNamespace(delivery_tag=delivery_tag), *message

    def basic_ack(self, delivery_tag: int) -> None:
        del self._fetched[delivery_tag]

    def basic_recover(self, *, requeue: bool) -> None:
        assert requeue
        if not self.requeue_sleeps:
            self._requeue()

    def _sleep(self, duration_s: float) -> None:
        assert duration_s > 0
        self.requeue_sleeps -= 1
        if not self.requeue_sleeps:
            self._requeue()

    def _requeue(self) -> None:
        for queue, message in self._fetched.values():
            self.queues[queue].append(message)
        self._fetched.clear()

    def basic_publish(
        self, exchange: str, routing_key: str, body: bytes, properties: BasicProperties, *, mandatory: bool
    ) -> None:
        assert (exchange, mandatory) == (get_queue_exchange(routing_key), True), "an unroutable message would be lost"
        if self.publish_error is not None:
            raise self.publish_error
        self.queues.setdefault(routing_key, []).append((properties, body))
