"""Listener for agent changes: invalidates the cache and updates the broker's priority routing."""

import asyncio
import logging

from generated.events import AGENT_CHANGED, NOTIFICATION_REQUESTED
from services.notifications.adapters.agent_cache import AgentCache
from services.notifications.domain.agents import MIN_URGENT_PRIORITY, Agent
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.core.errors import ApiError
from services.runtime.core.repository import SortedEntityReader
from services.runtime.messaging.broadcast import iter_events, subscribe
from services.runtime.messaging.channel import BrokerUnavailable, Channel
from services.runtime.messaging.connection import Broker

log = logging.getLogger(__name__)

PAGE_SIZE = 100

REFRESH_INTERVAL_S = 60.0
"""Seconds between refreshes of all agents, which restore bindings that the broker has lost."""

RETRY_INTERVAL_S = 2.0
"""Seconds until all agents are refreshed again after the database was unavailable."""


class AgentChangeListener:
    """Subscribes to agent changes. Every process updates the bindings, which is idempotent."""

    def __init__(self, broker: Broker, repository: SortedEntityReader[str, Agent], cache: AgentCache) -> None:
        self._broker = broker
        self._repository = repository
        self._cache = cache
        self._channel: Channel | None = None
        self._refresh = asyncio.Event()
        self._is_refreshed = False
        self._lock = asyncio.Lock()
        """Held from reading agents until their bindings are updated, so that the latest state is bound last."""

    async def run(self) -> None:
        """Listen until cancelled, reconnecting after outages of the broker and the database."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._broker.run_with_reconnect(self._consume))
            tasks.create_task(
                run_periodically(self._get_interval_s, "refreshing agents", self._refresh_all, self._refresh)
            )

    async def _consume(self, channel: Channel) -> None:
        queue = await subscribe(channel, AGENT_CHANGED)
        # Changes without a subscription were missed.
        self._channel = channel
        self._refresh.set()
        try:
            async for event in iter_events(channel, queue, AGENT_CHANGED):
                await self._refresh_one(channel, event.agent_id)
        finally:
            self._channel = None

    def _get_interval_s(self) -> float:
        return REFRESH_INTERVAL_S if self._is_refreshed else RETRY_INTERVAL_S

    async def _refresh_one(self, channel: Channel, agent_id: str) -> None:
        self._cache.invalidate(agent_id)
        try:
            async with self._lock:
                if agent := await self._repository.get(agent_id):
                    await _update_binding(channel, agent)
        except ApiError as error:
            log.warning("agent %s not refreshed: %s; refreshing all agents", agent_id, error)
            self._refresh.set()

    async def _refresh_all(self) -> int:
        """Refresh the bindings of all agents. Returns 0 for `run_periodically`, since none is left."""
        self._is_refreshed = False
        channel = self._channel
        if channel is None:
            return 0
        self._cache.invalidate_all()
        after: str | None = ""
        try:
            while after is not None:
                after = await self._refresh_page(channel, after)
        except BrokerUnavailable:
            return 0  # the next subscription starts a refresh
        self._is_refreshed = True
        return 0

    async def _refresh_page(self, channel: Channel, after: str) -> str | None:
        """Refresh the bindings of the agents after an id. Return the last id, or None after the last page."""
        async with self._lock:
            agents = await self._repository.list_after(after, PAGE_SIZE)
            for agent in agents:
                await _update_binding(channel, agent)
        return agents[-1].id if agents else None


async def _update_binding(channel: Channel, agent: Agent) -> None:
    if agent.priority >= MIN_URGENT_PRIORITY:
        await channel.bind_priority_subject(NOTIFICATION_REQUESTED.priority_queue, agent.id)
    else:
        await channel.unbind_priority_subject(NOTIFICATION_REQUESTED.priority_queue, agent.id)
