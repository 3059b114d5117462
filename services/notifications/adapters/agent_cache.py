"""Cache of notification agents, invalidated by change events."""

import time
from collections.abc import Callable
from typing import override

from services.notifications.domain.agents import Agent
from services.runtime.core.repository import EntityReader

MAX_AGE_S = 10.0
"""Maximum age of an entry, which limits staleness after a missed change event."""


class AgentCache(EntityReader[str, Agent]):
    """Read-through cache of agents."""

    def __init__(self, repository: EntityReader[str, Agent], clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._entries: dict[str, tuple[float, Agent | None]] = {}

    @override
    async def get(self, key: str) -> Agent | None:
        entry = self._entries.get(key)
        if entry is not None and self._clock() - entry[0] < MAX_AGE_S:
            return entry[1]
        agent = await self._repository.get(key)
        if agent is not None:  # unknown ids are not cached, since their number is unbounded
            self._entries[key] = (self._clock(), agent)
        return agent

    def invalidate_all(self) -> None:
        """Remove all entries."""
        self._entries.clear()

    def invalidate(self, agent_id: str) -> None:
        """Remove the entry of one agent."""
        self._entries.pop(agent_id, None)
