"""Publishing at once, for what has no transaction of its own: the answer waits for the broker's confirm."""

import asyncio
import logging

from generated.problems import Reason
from services.runtime import metrics
from services.runtime.amqp import BrokerUnavailable, Channel
from services.runtime.broker import Broker
from services.runtime.events import Envelope
from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)


class Publisher:
    """Keeps a channel open; without one, nothing can be published."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._channel: Channel | None = None

    async def run(self) -> None:
        """Keeps the channel until cancelled."""
        await self._broker.keep(self._hold)

    async def _hold(self, channel: Channel) -> None:
        self._channel = channel
        try:
            await channel.alive_until(asyncio.Event())
        finally:
            self._channel = None

    async def publish(self, envelope: Envelope) -> None:
        """Returns when the broker has confirmed the event. Refuses UPSTREAM_UNAVAILABLE otherwise."""
        try:
            if self._channel is None:
                raise BrokerUnavailable("not connected")
            await self._channel.publish_all([envelope])
            metrics.PUBLISHED.add(1, {"event": metrics.event_label(envelope.type)})
        except BrokerUnavailable as error:
            log.warning("%s was not published: %s", envelope.type, error)
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "The broker is away.", retry_after=2) from error
