"""Listener for agent changes: invalidates the cache and updates the broker's priority routing."""

import asyncio
import logging

from generated.events import AGENT_CHANGED, NOTIFICATION_REQUESTED
from services.notifications.adapters.agent_cache import AgentCache
from services.notifications.domain.agents import MIN_URGENT_PRIORITY, Agent
from services.notifications.usecases.ports import AgentRepository
from services.runtime.core import backoff
from services.runtime.core.errors import ApiError
from services.runtime.messaging.broadcast import iter_events, subscribe
from services.runtime.messaging.channel import Channel
from services.runtime.messaging.connection import Broker

log = logging.getLogger(__name__)

PAGE_SIZE = 100

RETRY_DELAY_S = 2.0
"""Delay before agents are read again after the database was unavailable."""


class AgentChangeListener:
    """Subscribes to agent changes. Every process updates the bindings, which is idempotent."""

    def __init__(self, broker: Broker, repository: AgentRepository, cache: AgentCache) -> None:
        self._broker = broker
        self._repository = repository
        self._cache = cache

    async def run(self) -> None:
        """Listen until cancelled, reconnecting after outages of the broker and the database."""
        await self._broker.run_with_reconnect(self._consume)

    async def _consume(self, channel: Channel) -> None:
        queue = await subscribe(channel, AGENT_CHANGED)
        await self._refresh_all(channel)
        async for event in iter_events(channel, queue, AGENT_CHANGED):
            self._cache.invalidate(event.agent_id)
            try:
                if agent := await self._repository.get(event.agent_id):
                    await _update_binding(channel, agent)
            except ApiError as error:
                log.warning("agent %s not refreshed: %s; refreshing all agents", event.agent_id, error)
                await self._refresh_all(channel)

    async def _refresh_all(self, channel: Channel) -> None:
        """Refresh the bindings of all agents, since changes without a subscription were missed."""
        while True:
            self._cache.invalidate_all()
            try:
                after = ""
                while agents := await self._repository.list_after(after, PAGE_SIZE):
                    for agent in agents:
                        await _update_binding(channel, agent)
                    after = agents[-1].id
                return
            except ApiError as error:
                delay_s = backoff.apply_jitter(RETRY_DELAY_S)
                log.warning("agents not refreshed: %s; retrying in %.1f s", error, delay_s)
                await asyncio.sleep(delay_s)


async def _update_binding(channel: Channel, agent: Agent) -> None:
    if agent.priority >= MIN_URGENT_PRIORITY:
        await channel.bind_priority_subject(NOTIFICATION_REQUESTED.priority_queue, agent.id)
    else:
        await channel.unbind_priority_subject(NOTIFICATION_REQUESTED.priority_queue, agent.id)
