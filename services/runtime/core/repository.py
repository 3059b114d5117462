"""Ports that the repositories of several services share."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

type TimeKey = tuple[datetime, str]
"""Key of an entity in a list by time: its time and its id."""


class EntityReader[Key, Entity](Protocol):
    """Read access to the entities of one kind."""

    async def get(self, key: Key) -> Entity | None:
        """Return the entity, or None if it does not exist."""


class SortedEntityReader[Key, Entity](EntityReader[Key, Entity], Protocol):
    """Read access to the entities of one kind, which are listed by their keys."""

    async def list_after(self, after: Key, size: int) -> Sequence[Entity]:
        """Return at most `size` entities whose key is above `after`, by key."""


class TimeSortedEntityReader[Entity, Filter](EntityReader[str, Entity], Protocol):
    """Read access to the entities of one kind, which are listed by the time of their creation."""

    async def list_before(self, before: TimeKey | None, size: int, entity_filter: Filter) -> Sequence[Entity]:
        """Return at most `size` matching entities created before a key of time and id, newest first."""


class EntityRepository[Key, Entity](Protocol):
    """Entities of one kind in a unit of work."""

    async def get_for_update(self, key: Key) -> Entity | None:
        """Return the entity, locked until the unit of work ends, or None if it does not exist."""

    async def save(self, entity: Entity) -> None:
        """Store the new state of an entity."""
