"""The exchanges and queues of the contract, made by every service before it publishes or consumes anything."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from generated.events import EVENTS
from services.runtime.messaging.events import EXCHANGE

RETRY_DELAYS_S = (1, 5, 30, 120)
"""Seconds before the second, third … attempt at a message."""

QUEUES = tuple(sorted({queue for event in EVENTS.values() for queue in event.all_queues}))
"""Every queue that somebody consumes from."""

QUEUES_TO_DELETE = ("notifications.agents",)
"""Queues that nobody takes from any more."""

SUBJECT_HEADER = "cloudEvents:subject"
"""The header by which events are singled out."""

_AT_LEAST_ONCE_DEAD_LETTERING = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


class QueueArgumentMismatch(Exception):
    """A queue is there, but was made with other arguments; only the channel is gone."""


class TopologyChannel(Protocol):
    """What making them takes."""

    async def declare_exchange(self, name: str, exchange_type: str) -> None:
        """Makes a durable exchange, if it is missing."""

    async def declare_queue(self, name: str, arguments: Mapping[str, object]) -> None:
        """Makes a durable quorum queue, if it is missing. Raises Misfit when there is one with other arguments."""

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Routes what has this key to the queue."""

    async def bind_exchange(self, destination: str, source: str, routing_key: str) -> None:
        """Routes copies of what has this key to another exchange."""

    async def delete_queue(self, name: str) -> None:
        """Removes a queue, if it is there, with all that is in it."""

    def close(self) -> None:
        """Gives the channel back."""


def retry_exchange(delay_s: int) -> str:
    """Where a message waits `delay` seconds before its next attempt."""
    return f"delivery.retry.{delay_s}s"


RETRY_QUEUES = tuple(map(retry_exchange, RETRY_DELAYS_S))
"""The queues in which messages of every service wait for their next attempt."""


def dead_letter_queue(queue: str) -> str:
    """Where a queue's dead letters lie."""
    return f"{queue}.dead"


async def declare(open_channel: Callable[[], Awaitable[TopologyChannel]]) -> None:
    """Makes what is missing of the contract's whole topology, so that no event is published before its queues exist."""
    await _declare_dead_letter_queues(open_channel, map(dead_letter_queue, QUEUES))
    channel = await open_channel()
    await channel.declare_exchange(EXCHANGE, "topic")
    for delay in RETRY_DELAYS_S:
        await _declare_retry_queue(channel, delay)
    for queue in QUEUES:
        buried = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_letter_queue(queue)}
        await channel.declare_queue(queue, {"x-delivery-limit": 20, **buried, **_AT_LEAST_ONCE_DEAD_LETTERING})
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
    """A message waits here `delay` seconds and then goes to the queue that its routing key names."""
    name = retry_exchange(delay_s)
    await channel.declare_exchange(name, "fanout")
    await channel.declare_queue(
        name, {"x-message-ttl": delay_s * 1000, "x-dead-letter-exchange": "", **_AT_LEAST_ONCE_DEAD_LETTERING}
    )
    await channel.bind(name, name, "")


async def _declare_dead_letter_queues(
    open_channel: Callable[[], Awaitable[TopologyChannel]], names: Iterable[str]
) -> None:
    """Looking at a dead letter counts as a delivery, and some brokers drop a message after 20 if not told otherwise.

    A queue that was made without being told so stays as it is: its arguments cannot change.
    """
    channel = await open_channel()
    for name in names:
        try:
            await channel.declare_queue(name, {"x-delivery-limit": 1_000_000_000})
        except QueueArgumentMismatch:
            channel = await open_channel()
    channel.close()
