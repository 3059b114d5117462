"""Ports of the use cases: repositories, job queue, history and provider clients."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from generated.events import NotificationsEvent
from services.notifications.domain.agents import Agent
from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import (
    Device,
    Mail,
    Notification,
    NotificationTemplate,
    Provider,
    ProviderResponse,
    Push,
    Status,
    User,
)
from services.runtime.storage.idempotency import IdempotencyKey, IdempotentResponse


class UnknownUserError(Exception):
    """The user is unknown; their registration event may still arrive, so the message can be retried."""


@dataclass(frozen=True, slots=True)
class NotificationRule:
    """Agent, recipient and templates of the notification for one event type.

    `recipient_path` and `order_id_path` are attribute paths into the event; `templates` is by locale.
    """

    agent_id: str
    recipient_path: str
    order_id_path: str | None
    templates: Mapping[str, NotificationTemplate]


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """Mail in one language; all fields may contain placeholders in braces."""

    subject: str
    text: str
    html: str


class HistoryFilter(NamedTuple):
    """Filter for a list of notifications; None matches every value."""

    user_id: str | None = None
    agent_id: str | None = None
    status: Status | None = None


class ProviderKeys(NamedTuple):
    """An agent's own credentials for providers, as JSON; None if the default ones are used."""

    fcm: str | None = None
    apns: str | None = None


class UserRepository(Protocol):
    """Repository of users and their devices."""

    async def upsert_user(self, user: User, token: str | None) -> None:
        """Store a user's contact data unless a newer version is stored; a version without a token removes devices."""

    async def get_user(self, user_id: str) -> User | None:
        """Return a user's contact data, or None if the user is unknown."""

    async def list_devices(self, user_id: str) -> Sequence[Device]:
        """Return a user's devices, newest first."""

    async def delete_device(self, user_id: str, token: str) -> None:
        """Delete a device until a newer version of the user registers it again."""


class AgentReader(Protocol):
    """Read access to notification agents."""

    async def get_agent(self, agent_id: str) -> Agent | None:
        """Return the agent, enabled or not, or None if it does not exist."""


class AgentUnitOfWork(Protocol):
    """Transaction that creates an agent."""

    async def add_agent(self, agent: Agent, keys: Mapping[str, str]) -> None:
        """Insert a new agent and its keys."""


class AgentRepository(AgentReader, Protocol):
    """Repository of notification agents."""

    def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AbstractAsyncContextManager[tuple[AgentUnitOfWork, IdempotentResponse]]:
        """Open a transaction with the response of an earlier request with the key, or an empty one, to be set."""

    async def list_agents(self, limit: int, after: str | None) -> Sequence[Agent]:
        """Return agents with an id greater than `after`, in the order of their ids."""

    async def save_agent(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        """Update an agent to its next version; a key of None is deleted.

        Returns False if the stored version is not the preceding one.
        """

    async def get_keys(self, agent_id: str) -> ProviderKeys:
        """Return the agent's own provider credentials."""


class JobQueue(Protocol):
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

    async def delete_for_user(self, user_id: str) -> None:
        """Delete the notifications of a user."""

    async def find(
        self, history_filter: HistoryFilter, limit: int, before: tuple[datetime, str] | None, *, include_mails: bool
    ) -> Sequence[Notification]:
        """Return the matching notifications, newest first, starting after the key `before` (creation time, id)."""


class PushClient(Protocol):
    """Client of a push provider."""

    async def push(self, token: str, push: Push) -> ProviderResponse:
        """Send a push to one device."""


class MailClient(Protocol):
    """Client of a mail server."""

    async def send(self, mail: Mail) -> ProviderResponse:
        """Send a mail."""


class CircuitBreaker(Protocol):
    """Circuit breaker of a provider; it also honours the provider's Retry-After."""

    def reserve_permission(self) -> timedelta:
        """Return the time until a call is permitted; zero permits the call now."""

    def record(self, response: ProviderResponse) -> None:
        """Record the response of a call."""


class ProviderRegistry(Protocol):
    """Registry of provider clients and their circuit breakers."""

    mail_client: MailClient

    async def get_push_client(self, agent: Agent, provider: Provider) -> PushClient | None:
        """Return the agent's client of the provider, or None if it does not exist."""

    def get_breaker(self, agent: Agent, provider: Provider) -> CircuitBreaker:
        """Return the circuit breaker of the agent's client of the provider."""
