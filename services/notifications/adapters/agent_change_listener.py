"""What every process does when an agent changes: forgets its copy, and has the broker let urgent requests overtake."""

import asyncio
import logging

from generated.events import AGENT_CHANGED, NOTIFICATION_REQUESTED
from services.notifications.adapters.agent_cache import AgentCache
from services.notifications.domain.agents import MIN_URGENT_PRIORITY, Agent
from services.notifications.usecases.ports import AgentRepository
from services.runtime.core.errors import ApiError
from services.runtime.messaging.broadcast import iter_events, subscribe
from services.runtime.messaging.channel import Channel
from services.runtime.messaging.connection import Broker

log = logging.getLogger(__name__)

PAGE_SIZE = 100

RETRY_DELAY_S = 2.0
"""Seconds until the store is asked again, when it is away."""


class AgentChangeListener:
    """Follows agents. Every process says the same to the broker, which is the same as if one had."""

    def __init__(self, broker: Broker, repository: AgentRepository, cache: AgentCache) -> None:
        self._broker = broker
        self._repository = repository
        self._cache = cache

    async def run(self) -> None:
        """Until cancelled, through outages of what it needs."""
        await self._broker.run_with_reconnect(self._consume)

    async def _consume(self, channel: Channel) -> None:
        queue = await subscribe(channel, AGENT_CHANGED)
        await self._refresh_all(channel)
        async for event in iter_events(channel, queue, AGENT_CHANGED):
            self._cache.invalidate(event.agent_id)
            try:
                if agent := await self._repository.get_agent(event.agent_id):
                    await _update_binding(channel, agent)
            except ApiError as refusal:
                log.warning("agent %s is looked at with all the others: %s", event.agent_id, refusal)
                await self._refresh_all(channel)

    async def _refresh_all(self, channel: Channel) -> None:
        """At all of them, since what changed while nobody listened was not heard."""
        while True:
            self._cache.invalidate_all()
            try:
                after: str | None = None
                while agents := await self._repository.list_agents(PAGE_SIZE, after):
                    for agent in agents:
                        await _update_binding(channel, agent)
                    after = agents[-1].id
                return
            except ApiError as refusal:
                log.warning("agents wait to be looked at: %s", refusal)
                await asyncio.sleep(RETRY_DELAY_S)


async def _update_binding(channel: Channel, agent: Agent) -> None:
    if agent.priority >= MIN_URGENT_PRIORITY:
        await channel.bind_priority_subject(NOTIFICATION_REQUESTED.priority_queue, agent.id)
    else:
        await channel.unbind_priority_subject(NOTIFICATION_REQUESTED.priority_queue, agent.id)
