"""Ports that several use cases share: repositories, job queue and history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from generated.events import NotificationsEvent
from services.notifications.domain.agents import Agent
from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import Device, HistoryFilter, Notification, User
from services.runtime.core.repository import SortedEntityReader, TimeKey
from services.runtime.core.unit_of_work import IdempotentUnitOfWorkFactory


class UserRepository(Protocol):
    """Repository of users and their devices."""

    async def upsert_user(self, user: User, token: str | None, registered_at: datetime | None = None) -> None:
        """Store a user's contact data unless a newer version is stored; a version without a token removes devices.

        The device belongs to the user with the latest `registered_at` for its token.
        """

    async def delete_user(self, user_id: str, version: int) -> None:
        """Delete a user's contact data and devices except the id and the version."""

    async def get_user(self, user_id: str) -> User | None:
        """Return a user's contact data, or None if the user is unknown."""

    async def list_devices(self, user_id: str) -> Sequence[Device]:
        """Return a user's devices, newest first."""

    async def delete_device(self, user_id: str, token: str) -> None:
        """Delete a device until a newer version of the user registers it again."""


class AgentUnitOfWork(Protocol):
    """Transaction that creates or updates agents and publishes their changes."""

    async def add_agent(self, agent: Agent, keys: Mapping[str, str]) -> None:
        """Insert a new agent and its keys."""

    async def save_agent(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        """Update an agent to its next version; a key of None is deleted.

        Returns False if the stored version is not the preceding one.
        """


class AgentRepository(SortedEntityReader[str, Agent], IdempotentUnitOfWorkFactory[AgentUnitOfWork], Protocol):
    """Repository of notification agents, enabled or not."""


class DeliveryQueue(Protocol):
    """Queue of delivery jobs."""

    async def add(self, source_queue: str, event_id: str, job: DeliveryJob) -> bool:
        """Add a job; return False if the event has been processed before."""

    async def claim(
        self, min_priority: int, limit: int, now: datetime, lease_expires_at: datetime
    ) -> Sequence[DeliveryJob]:
        """Lease due jobs of at least `min_priority` until `lease_expires_at`, most urgent first."""

    async def reschedule(self, job: DeliveryJob, due_at: datetime) -> bool:
        """Store the job's state and release it until `due_at`; return False if the lease is lost."""

    async def complete(self, job: DeliveryJob, event: NotificationsEvent | None) -> bool:
        """Delete the job and add the event to the outbox; return False if the lease is lost."""


class HistoryRepository(Protocol):
    """History of notifications."""

    async def insert_if_absent(self, notification: Notification) -> None:
        """Insert a notification unless one with the same id exists."""

    async def upsert(self, notification: Notification) -> None:
        """Insert or replace a notification."""

    async def set_failed(self, notification_id: str, reason: str) -> None:
        """Set the status of a queued notification to failed."""

    async def delete_for_user(self, user_id: str) -> None:
        """Delete the notifications of a user."""

    async def find(
        self, history_filter: HistoryFilter, limit: int, before: TimeKey | None, *, include_mails: bool
    ) -> Sequence[Notification]:
        """Return the matching notifications, newest first, starting after the key `before` (creation time, id)."""
