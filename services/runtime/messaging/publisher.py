"""Publisher for events without a transaction; the caller waits for the broker's confirm."""

import asyncio
import logging

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.messaging import metrics
from services.runtime.messaging.channel import BrokerUnavailable, Channel
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.events import Envelope

log = logging.getLogger(__name__)


class Publisher:
    """Publishes events on a channel that is held open; publishing fails without a channel."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._channel: Channel | None = None

    async def run(self) -> None:
        """Hold the channel open until cancelled, reconnecting when it is lost."""
        await self._broker.run_with_reconnect(self._hold_channel)

    async def _hold_channel(self, channel: Channel) -> None:
        self._channel = channel
        try:
            await channel.wait_while_connected(asyncio.Event())
        finally:
            self._channel = None

    async def publish(self, envelope: Envelope) -> None:
        """Publish the event and wait for its confirm. Raises ApiError: UPSTREAM_UNAVAILABLE."""
        try:
            if self._channel is None:
                raise BrokerUnavailable("not connected")
            await self._channel.publish([envelope])
            metrics.EVENTS_PUBLISHED.add(1, {"event": metrics.normalise_event_type(envelope.type)})
        except BrokerUnavailable as error:
            log.warning("event not published: type %s: %s", envelope.type, error)
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The message broker is unavailable.", retry_after=2) from error
