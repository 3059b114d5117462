"""The exchanges and queues of the contract, made by every service before it publishes or consumes anything."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from generated.events import EVENTS
from services.runtime.events import EXCHANGE

RETRY_DELAYS = (1, 5, 30, 120)
"""Seconds before the second, third … attempt at a message."""

QUEUES = tuple(sorted({queue for event in EVENTS.values() for queue in event.taken_from}))
"""Every queue that somebody consumes from."""

RETIRED = ("notifications.agents",)
"""Queues that nobody takes from any more."""

SUBJECT = "cloudEvents:subject"
"""The header by which events are singled out."""

_NEVER_DROPS = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


class Misfit(Exception):
    """A queue is there, but was made with other arguments; only the channel is gone."""


class Channel(Protocol):
    """What making them takes."""

    async def declare_exchange(self, name: str, kind: str) -> None:
        """Makes a durable exchange, if it is missing."""

    async def declare_queue(self, name: str, arguments: Mapping[str, object]) -> None:
        """Makes a durable quorum queue, if it is missing. Raises Misfit when there is one with other arguments."""

    async def bind(self, queue: str, exchange: str, key: str) -> None:
        """Routes what has this key to the queue."""

    async def bind_exchange(self, to: str, exchange: str, key: str) -> None:
        """Routes copies of what has this key to another exchange."""

    async def delete_queue(self, name: str) -> None:
        """Removes a queue, if it is there, with all that is in it."""

    def close(self) -> None:
        """Gives the channel back."""


def retry_exchange(delay: int) -> str:
    """Where a message waits `delay` seconds before its next attempt."""
    return f"delivery.retry.{delay}s"


RETRIES = tuple(map(retry_exchange, RETRY_DELAYS))
"""The queues in which messages of every service wait for their next attempt."""


def dead(queue: str) -> str:
    """Where a queue's dead letters lie."""
    return f"{queue}.dead"


async def declare(opened: Callable[[], Awaitable[Channel]]) -> None:
    """Makes what is missing of the contract's whole topology, so that no event is published before its queues exist."""
    await _declare_dead(opened, map(dead, QUEUES))
    channel = await opened()
    await channel.declare_exchange(EXCHANGE, "topic")
    for delay in RETRY_DELAYS:
        await _declare_retry(channel, delay)
    for queue in QUEUES:
        buried = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead(queue)}
        await channel.declare_queue(queue, {"x-delivery-limit": 20, **buried, **_NEVER_DROPS})
    for event in EVENTS.values():
        for queue in event.queues:
            await channel.bind(queue, EXCHANGE, event.type)
        if event.express:
            await channel.declare_exchange(event.express, "headers")
            await channel.bind_exchange(event.express, EXCHANGE, event.type)
    for queue in RETIRED:
        await channel.delete_queue(queue)
    channel.close()


async def _declare_retry(channel: Channel, delay: int) -> None:
    """A message waits here `delay` seconds and then goes to the queue that its routing key names."""
    name = retry_exchange(delay)
    await channel.declare_exchange(name, "fanout")
    await channel.declare_queue(name, {"x-message-ttl": delay * 1000, "x-dead-letter-exchange": "", **_NEVER_DROPS})
    await channel.bind(name, name, "")


async def _declare_dead(opened: Callable[[], Awaitable[Channel]], names: Iterable[str]) -> None:
    """Looking at a dead letter counts as a delivery, and some brokers drop a message after 20 if not told otherwise.

    A queue that was made without being told so stays as it is: its arguments cannot change.
    """
    channel = await opened()
    for name in names:
        try:
            await channel.declare_queue(name, {"x-delivery-limit": 1_000_000_000})
        except Misfit:
            channel = await opened()
    channel.close()
