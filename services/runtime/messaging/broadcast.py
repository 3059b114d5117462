"""Events that every process of a service has to hear, and not one of several: each has a queue of its own.

The queue lives as long as its connection. What happens between two connections is not heard, so whoever listens looks
at everything once it has begun to.
"""

import logging
from collections.abc import AsyncIterator

import betterproto2

from services.runtime.messaging.channel import Channel
from services.runtime.messaging.events import EXCHANGE, EventType
from services.runtime.rpc.codec import DecodeError

log = logging.getLogger(__name__)

PREFETCH = 100


async def subscribe[E: betterproto2.Message](channel: Channel, event_type: EventType[E]) -> str:
    """Begins to listen; the queue to hear from."""
    queue = await channel.declare_exclusive_queue()
    await channel.bind(queue, EXCHANGE, event_type.type)
    return queue


async def iter_events[E: betterproto2.Message](
    channel: Channel, queue: str, event_type: EventType[E]
) -> AsyncIterator[E]:
    """What is heard, for as long as the channel lives; nonsense is not."""
    async for message in channel.consume(queue, PREFETCH):
        channel.acknowledge(message)
        try:
            event = event_type.decode(message.body)
        except DecodeError:
            log.error("what was heard is no %s", event_type.message.__name__)
        else:
            yield event
