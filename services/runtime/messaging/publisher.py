"""Publishing at once, for what has no transaction of its own: the answer waits for the broker's confirm."""

import asyncio
import logging

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import BrokerUnavailable, Channel
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.events import Envelope
from services.runtime.telemetry import metrics

log = logging.getLogger(__name__)


class Publisher:
    """Keeps a channel open; without one, nothing can be published."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._channel: Channel | None = None

    async def run(self) -> None:
        """Keeps the channel until cancelled."""
        await self._broker.run_with_reconnect(self._hold_channel)

    async def _hold_channel(self, channel: Channel) -> None:
        self._channel = channel
        try:
            await channel.wait_while_connected(asyncio.Event())
        finally:
            self._channel = None

    async def publish(self, envelope: Envelope) -> None:
        """Returns when the broker has confirmed the event. Refuses UPSTREAM_UNAVAILABLE otherwise."""
        try:
            if self._channel is None:
                raise BrokerUnavailable("not connected")
            await self._channel.publish([envelope])
            metrics.EVENTS_PUBLISHED.add(1, {"event": metrics.normalise_event_type(envelope.type)})
        except BrokerUnavailable as error:
            log.warning("%s was not published: %s", envelope.type, error)
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The broker is away.", retry_after=2) from error
