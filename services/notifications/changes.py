"""What every process does when an agent changes: forgets its copy, and has the broker let urgent requests overtake."""

import asyncio
import logging

from generated.events import AGENT_CHANGED, NOTIFICATION_REQUESTED
from services.notifications.cache import CachedAgents
from services.notifications.domain.agents import URGENT, Agent
from services.notifications.usecases.ports import AgentStore
from services.runtime.amqp import Channel
from services.runtime.announcements import heard, listen
from services.runtime.broker import Broker
from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)

PAGE = 100

PAUSE = 2.0
"""Seconds until the store is asked again, when it is away."""


class AgentChanges:
    """Follows agents. Every process says the same to the broker, which is the same as if one had."""

    def __init__(self, broker: Broker, store: AgentStore, cache: CachedAgents) -> None:
        self._broker = broker
        self._store = store
        self._cache = cache

    async def run(self) -> None:
        """Until cancelled, through outages of what it needs."""
        await self._broker.keep(self._follow)

    async def _follow(self, channel: Channel) -> None:
        queue = await listen(channel, AGENT_CHANGED)
        await self._look(channel)
        async for event in heard(channel, queue, AGENT_CHANGED):
            self._cache.forget(event.agent_id)
            try:
                if agent := await self._store.agent(event.agent_id):
                    await _route(channel, agent)
            except Refusal as refusal:
                log.warning("agent %s is looked at with all the others: %s", event.agent_id, refusal)
                await self._look(channel)

    async def _look(self, channel: Channel) -> None:
        """At all of them, since what changed while nobody listened was not heard."""
        while True:
            self._cache.clear()
            try:
                after: str | None = None
                while agents := await self._store.agents(PAGE, after):
                    for agent in agents:
                        await _route(channel, agent)
                    after = agents[-1].id
                return
            except Refusal as refusal:
                log.warning("agents wait to be looked at: %s", refusal)
                await asyncio.sleep(PAUSE)


async def _route(channel: Channel, agent: Agent) -> None:
    if agent.priority >= URGENT:
        await channel.single_out(NOTIFICATION_REQUESTED.express, agent.id)
    else:
        await channel.leave_in(NOTIFICATION_REQUESTED.express, agent.id)
