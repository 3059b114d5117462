"""Exchanges and queues of the contract, from the definitions that the broker loads at its start.

The definitions create the whole topology, so that the queues of an event exist before it is published. A service
declares its own queues with their bindings again, for which alone its user has permissions.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from generated import mesh
from generated.events import EVENTS
from services.runtime.messaging import metrics

log = logging.getLogger(__name__)

DEFINITIONS_PATH = mesh.FOLDER / "rabbitmq/definitions.json"


class _Queue(msgspec.Struct):
    name: str
    arguments: dict[str, str | int]


class _Binding(msgspec.Struct):
    source: str
    destination: str
    routing_key: str


class _Definitions(msgspec.Struct):
    queues: list[_Queue]
    bindings: list[_Binding]


_DEFINITIONS = msgspec.json.decode(DEFINITIONS_PATH.read_bytes(), type=_Definitions)

QUEUES = tuple(sorted({queue for event in EVENTS.values() for queue in event.all_queues}))
"""All queues with a consumer."""

RETRY_QUEUES = tuple(queue.name for queue in _DEFINITIONS.queues if "x-message-ttl" in queue.arguments)
"""Queues in which messages wait for their next attempt."""

RETRY_DELAYS_S = tuple(
    sorted(
        {int(queue.arguments["x-message-ttl"]) // 1000 for queue in _DEFINITIONS.queues if queue.name in RETRY_QUEUES}
    )
)
"""Seconds before the second, third … attempt at a message."""

ROUTED_EVENT_TYPES = frozenset(event.type for event in EVENTS.values() if event.queues)
"""Event types with a queue; events of other types are received by broadcast subscriptions, or not at all."""

RESTORE_DELAY_S = 5.0
"""Seconds before a service declares a missing queue, in which the relays of other services find it missing.

Otherwise events that were published without the queue would be lost, see `routing_check`.
"""

SUBJECT_HEADER = "cloudEvents:subject"
"""Header that selects events for a priority queue."""


class QueueArgumentMismatch(Exception):
    """The queue exists with other arguments. The broker has closed the channel; the connection is open."""


class QueueMissing(Exception):
    """The queue does not exist. The broker has closed the channel; the connection is open."""


class QueueReader(Protocol):
    """The channel methods that check a queue."""

    async def count_messages(self, queue: str) -> int:
        """Return the number of messages in a queue. Raises QueueMissing, and closes the channel."""

    def close(self) -> None:
        """Close the channel."""


class TopologyChannel(QueueReader, Protocol):
    """The channel methods that declare the topology."""

    async def declare_queue(self, name: str, arguments: Mapping[str, object]) -> None:
        """Declare a durable queue. Raises QueueArgumentMismatch if it exists with other arguments."""

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Bind a queue to an exchange by routing key."""

    async def delete_queue(self, name: str) -> None:
        """Delete a queue and its messages, if the queue exists."""


def get_owner(queue: str) -> str:
    """Return the service that owns a queue: the part of its name before the first dot."""
    return queue.partition(".")[0]


def get_queue_exchange(queue: str) -> str:
    """Return the exchange that routes to the queues of the queue's service by their names."""
    return f"{get_owner(queue)}.queues"


def get_retry_exchange(queue: str, delay_s: int) -> str:
    """Return the exchange by which a message waits `delay_s` seconds before it returns to the queue.

    It is also the name of the retry queue; the routing key is the name of the queue.
    """
    return f"{get_owner(queue)}.retry.{delay_s}s"


def get_priority_exchange(priority_queue: str) -> str:
    """Return the exchange with copies of the events among which a priority queue selects subjects."""
    return f"{priority_queue}.subjects"


def get_dead_letter_queue(queue: str) -> str:
    """Return the name of the queue's dead-letter queue."""
    return f"{queue}.dead"


async def declare(service: str, open_channel: Callable[[], Awaitable[TopologyChannel]]) -> None:
    """Declare the queues of a service with their bindings, and delete those of earlier releases.

    A missing queue is declared after RESTORE_DELAY_S. The number of deliveries of dead letters is unlimited. A
    dead-letter queue that was declared without this argument is left unchanged, since the arguments of a queue cannot
    be changed.
    """
    queues = {queue.name: queue.arguments for queue in _DEFINITIONS.queues if get_owner(queue.name) == service}
    if not queues:
        return
    if missing := await find_missing_queues(open_channel, sorted(queues)):
        for name in missing:
            metrics.count_missing_queue(name)
        log.error("queues %s are missing; declaring them in %.1f s", ", ".join(missing), RESTORE_DELAY_S)
        await asyncio.sleep(RESTORE_DELAY_S)
    dead_letter_queues = {get_dead_letter_queue(queue) for queue in QUEUES} & queues.keys()
    channel = await open_channel()
    for name in sorted(dead_letter_queues):
        try:
            await channel.declare_queue(name, queues[name])
        except QueueArgumentMismatch:
            channel = await open_channel()
        await _bind(channel, name)
    for name in sorted(queues.keys() - dead_letter_queues):
        await channel.declare_queue(name, queues[name])
        await _bind(channel, name)
    for name in mesh.OBSOLETE_QUEUES:
        if get_owner(name) == service:
            await channel.delete_queue(name)
    channel.close()


async def declare_missing(service: str, open_channel: Callable[[], Awaitable[TopologyChannel]]) -> None:
    """Declare the queues of a service if one of them is missing, and their bindings."""
    queues = sorted(queue.name for queue in _DEFINITIONS.queues if get_owner(queue.name) == service)
    if not queues:
        return
    if await find_missing_queues(open_channel, queues):
        await declare(service, open_channel)
        return
    channel = await open_channel()
    for queue in queues:
        await _bind(channel, queue)
    channel.close()


async def _bind(channel: TopologyChannel, queue: str) -> None:
    """Bind a queue directly after its declaration, since relays publish its events again once it exists."""
    for binding in _DEFINITIONS.bindings:
        if binding.destination == queue:
            await channel.bind(queue, binding.source, binding.routing_key)


async def find_missing_queues(open_channel: Callable[[], Awaitable[QueueReader]], names: Iterable[str]) -> list[str]:
    """Return the queues that do not exist. Each of them closes a channel, after which another one is opened."""
    missing = []
    channel = await open_channel()
    for name in names:
        try:
            await channel.count_messages(name)
        except QueueMissing:
            missing.append(name)
            channel = await open_channel()
    channel.close()
    return missing
