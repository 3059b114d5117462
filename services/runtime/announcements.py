"""Events that every process of a service has to hear, and not one of several: each has a queue of its own.

The queue lives as long as its connection. What happens between two connections is not heard, so whoever listens looks
at everything once it has begun to.
"""

import logging
from collections.abc import AsyncIterator

import betterproto2

from services.runtime.amqp import Channel
from services.runtime.codec import DecodeError
from services.runtime.events import EXCHANGE, EventType

log = logging.getLogger(__name__)

AT_ONCE = 100


async def listen[E: betterproto2.Message](channel: Channel, kind: EventType[E]) -> str:
    """Begins to listen; the queue to hear from."""
    queue = await channel.declare_own_queue()
    await channel.bind(queue, EXCHANGE, kind.type)
    return queue


async def heard[E: betterproto2.Message](channel: Channel, queue: str, kind: EventType[E]) -> AsyncIterator[E]:
    """What is heard, for as long as the channel lives; nonsense is not."""
    async for message in channel.consume(queue, AT_ONCE):
        channel.acknowledge(message)
        try:
            event = kind.decode(message.body)
        except DecodeError:
            log.error("what was heard is no %s", kind.message.__name__)
        else:
            yield event
