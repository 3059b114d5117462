"""Cache of notification agents, invalidated by change events."""

import time
from collections.abc import Callable
from typing import override

from services.notifications.domain.agents import Agent
from services.notifications.usecases.ports import AgentReader

MAX_AGE_S = 10.0
"""Maximum age of an entry, which limits staleness after a missed change event."""


class AgentCache(AgentReader):
    """Read-through cache of agents."""

    def __init__(self, repository: AgentReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._entries: dict[str, tuple[float, Agent | None]] = {}

    @override
    async def get_agent(self, agent_id: str) -> Agent | None:
        entry = self._entries.get(agent_id)
        if entry is not None and self._clock() - entry[0] < MAX_AGE_S:
            return entry[1]
        agent = await self._repository.get_agent(agent_id)
        if agent is not None:  # unknown ids are not cached, since their number is unbounded
            self._entries[agent_id] = (self._clock(), agent)
        return agent

    def invalidate_all(self) -> None:
        """Remove all entries."""
        self._entries.clear()

    def invalidate(self, agent_id: str) -> None:
        """Remove the entry of one agent."""
        self._entries.pop(agent_id, None)
