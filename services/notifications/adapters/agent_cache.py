"""Agents, kept in memory until one changes."""

import time
from collections.abc import Callable

from services.notifications.domain.agents import Agent
from services.notifications.usecases.ports import AgentReader

MAX_AGE_S = 10.0
"""How old a copy may be, in case a change was not heard; those that are heard count at once."""


class AgentCache:
    """Looks into the store when it has to."""

    def __init__(self, repository: AgentReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._entries: dict[str, tuple[float, Agent | None]] = {}

    async def get_agent(self, agent_id: str) -> Agent | None:
        """The agent, enabled or not."""
        kept = self._entries.get(agent_id)
        if kept is not None and self._clock() - kept[0] < MAX_AGE_S:
            return kept[1]
        agent = await self._repository.get_agent(agent_id)
        if agent is not None:  # ids that nobody has could be without number
            self._entries[agent_id] = (self._clock(), agent)
        return agent

    def invalidate_all(self) -> None:
        """Any agent may have changed."""
        self._entries.clear()

    def invalidate(self, agent_id: str) -> None:
        """The agent has changed."""
        self._entries.pop(agent_id, None)
