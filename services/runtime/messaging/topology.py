"""Exchanges and queues of the contract. Every service declares all of them before it publishes or consumes."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from generated.events import EVENTS
from services.runtime.messaging.events import EXCHANGE

RETRY_DELAYS_S = (1, 5, 30, 120)
"""Seconds before the second, third … attempt at a message."""

QUEUES = tuple(sorted({queue for event in EVENTS.values() for queue in event.all_queues}))
"""All queues with a consumer."""

ROUTED_EVENT_TYPES = frozenset(event.type for event in EVENTS.values() if event.queues)
"""Event types with a queue; events of other types are received by broadcast subscriptions, or not at all."""

QUEUES_TO_DELETE = ("notifications.agents",)
"""Queues of earlier releases that no consumer uses."""

SUBJECT_HEADER = "cloudEvents:subject"
"""Header that selects events for a priority queue."""

_AT_LEAST_ONCE_DEAD_LETTERING = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


class QueueArgumentMismatch(Exception):
    """The queue exists with other arguments. The broker has closed the channel; the connection is open."""


class TopologyChannel(Protocol):
    """The channel methods that declare the topology."""

    async def declare_exchange(self, name: str, exchange_type: str) -> None:
        """Declare a durable exchange."""

    async def declare_queue(self, name: str, arguments: Mapping[str, object]) -> None:
        """Declare a durable quorum queue. Raises QueueArgumentMismatch if it exists with other arguments."""

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Bind a queue to an exchange by routing key."""

    async def bind_exchange(self, destination: str, source: str, routing_key: str) -> None:
        """Bind an exchange to another exchange by routing key."""

    async def delete_queue(self, name: str) -> None:
        """Delete a queue and its messages, if the queue exists."""

    def close(self) -> None:
        """Close the channel."""


def get_retry_exchange(delay_s: int) -> str:
    """Return the name of the exchange and queue in which a message waits `delay_s` seconds before its next attempt."""
    return f"delivery.retry.{delay_s}s"


RETRY_QUEUES = tuple(map(get_retry_exchange, RETRY_DELAYS_S))
"""Queues in which messages of all services wait for their next attempt."""


def get_dead_letter_queue(queue: str) -> str:
    """Return the name of the queue's dead-letter queue."""
    return f"{queue}.dead"


async def declare(open_channel: Callable[[], Awaitable[TopologyChannel]]) -> None:
    """Declare the topology of the whole contract, so that the queues of an event exist before it is published."""
    await _declare_dead_letter_queues(open_channel, map(get_dead_letter_queue, QUEUES))
    channel = await open_channel()
    await channel.declare_exchange(EXCHANGE, "topic")
    for delay_s in RETRY_DELAYS_S:
        await _declare_retry_queue(channel, delay_s)
    for queue in QUEUES:
        dead_lettering = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": get_dead_letter_queue(queue)}
        await channel.declare_queue(queue, {"x-delivery-limit": 20, **dead_lettering, **_AT_LEAST_ONCE_DEAD_LETTERING})
    for event in EVENTS.values():
        for queue in event.queues:
            await channel.bind(queue, EXCHANGE, event.type)
        if event.priority_queue:
            await channel.declare_exchange(event.priority_queue, "headers")
            await channel.bind_exchange(event.priority_queue, EXCHANGE, event.type)
    for queue in QUEUES_TO_DELETE:
        await channel.delete_queue(queue)
    channel.close()


async def _declare_retry_queue(channel: TopologyChannel, delay_s: int) -> None:
    """Declare a queue whose messages expire after `delay_s` seconds and return to the queue in their routing key."""
    name = get_retry_exchange(delay_s)
    await channel.declare_exchange(name, "fanout")
    await channel.declare_queue(
        name, {"x-message-ttl": delay_s * 1000, "x-dead-letter-exchange": "", **_AT_LEAST_ONCE_DEAD_LETTERING}
    )
    await channel.bind(name, name, "")


async def _declare_dead_letter_queues(
    open_channel: Callable[[], Awaitable[TopologyChannel]], names: Iterable[str]
) -> None:
    """Declare dead-letter queues with a practically unlimited number of deliveries.

    Listing a dead letter counts as a delivery, and some brokers drop a message after 20 of them by default. A queue
    that was declared without this limit is left unchanged, since the arguments of a queue cannot be changed.
    """
    channel = await open_channel()
    for name in names:
        try:
            await channel.declare_queue(name, {"x-delivery-limit": 1_000_000_000})
        except QueueArgumentMismatch:
            channel = await open_channel()
    channel.close()
