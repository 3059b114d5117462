"""Broadcast subscriptions: every process of a service receives each event, through an exclusive queue of its own.

The queue is deleted with its consumer, and events published while a process has no channel are lost. A subscriber
therefore refreshes all of its state after subscribing.
"""

import logging
from collections.abc import AsyncIterator

import betterproto2

from services.runtime.messaging.channel import Channel
from services.runtime.messaging.events import EventType
from services.runtime.rpc.codec import DecodeError

log = logging.getLogger(__name__)

PREFETCH = 100


async def subscribe[E: betterproto2.Message](channel: Channel, event_type: EventType[E]) -> str:
    """Declare an exclusive queue bound to the event type, and return its name."""
    queue = await channel.declare_exclusive_queue()
    await channel.bind(queue, event_type.exchange, event_type.type)
    return queue


async def iter_events[E: betterproto2.Message](
    channel: Channel, queue: str, event_type: EventType[E]
) -> AsyncIterator[E]:
    """Yield events until the channel closes; messages that cannot be decoded are skipped."""
    async for message in channel.consume(queue, PREFETCH):
        channel.acknowledge(message)
        try:
            event = event_type.decode(message.body)
        except DecodeError:
            log.error("malformed broadcast event: not a %s; skipping", event_type.message.__name__)
        else:
            yield event
