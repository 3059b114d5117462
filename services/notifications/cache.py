"""Agents, kept in memory until one changes."""

import time
from collections.abc import Callable

from services.notifications.domain.agents import Agent
from services.notifications.usecases.ports import Agents

LONGEST_S = 10.0
"""How old a copy may be, in case a change was not heard; those that are heard count at once."""


class CachedAgents:
    """Looks into the store when it has to."""

    def __init__(self, store: Agents, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._kept: dict[str, tuple[float, Agent | None]] = {}

    async def agent(self, agent_id: str) -> Agent | None:
        """The agent, enabled or not."""
        kept = self._kept.get(agent_id)
        if kept is not None and self._clock() - kept[0] < LONGEST_S:
            return kept[1]
        agent = await self._store.agent(agent_id)
        if agent is not None:  # ids that nobody has could be without number
            self._kept[agent_id] = (self._clock(), agent)
        return agent

    def clear(self) -> None:
        """Any agent may have changed."""
        self._kept.clear()

    def forget(self, agent_id: str) -> None:
        """The agent has changed."""
        self._kept.pop(agent_id, None)
