"""What the use cases need of the world."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
from services.runtime.storage.idempotency import IdempotencyKey, StoredResponse


class UnknownUserError(Exception):
    """It cannot be done now, but may be later: a user not heard of yet."""


@dataclass(frozen=True, slots=True)
class NotificationRule:
    """What is said for one type of event: by which agent, to whom and about which order (paths), in which words."""

    agent_id: str
    recipient_path: str
    order_id_path: str | None
    templates: Mapping[str, NotificationTemplate]


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """A mail in one language; all three may hold names in braces."""

    subject: str
    text: str
    html: str


class HistoryFilter(NamedTuple):
    """Narrows a list of notifications."""

    user_id: str | None = None
    agent_id: str | None = None
    status: Status | None = None


class ProviderKeys(NamedTuple):
    """What an agent signs in with at providers, as text; None for ours."""

    fcm: str | None = None
    apns: str | None = None


class UserRepository(Protocol):
    """Users and their devices."""

    async def upsert_user(self, user: User, token: str | None) -> None:
        """Keeps where a user is reached, unless something newer is known; a version without a token forgets devices."""

    async def get_user(self, user_id: str) -> User | None:
        """Where a user is reached."""

    async def list_devices(self, user_id: str) -> Sequence[Device]:
        """The newest first."""

    async def delete_device(self, user_id: str, token: str) -> None:
        """Forgets a device, until the user names it again."""


class AgentReader(Protocol):
    """Senders."""

    async def get_agent(self, agent_id: str) -> Agent | None:
        """The agent, enabled or not."""


class AgentUnitOfWork(Protocol):
    """One transaction in which an agent is made."""

    async def add_agent(self, agent: Agent, keys: Mapping[str, str]) -> None:
        """Keeps a new agent and its keys."""


class AgentRepository(AgentReader, Protocol):
    """Senders, as they are managed."""

    async def run_idempotently(
        self, key: IdempotencyKey | None, work: Callable[[AgentUnitOfWork], Awaitable[bytes]]
    ) -> StoredResponse:
        """Does the work in a unit, or gives the first answer to the key again."""

    async def list_agents(self, limit: int, after: str | None) -> Sequence[Agent]:
        """By id."""

    async def save_agent(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        """Keeps the next version of an agent; False when somebody else has made it. A key of None is removed."""

    async def get_keys(self, agent_id: str) -> ProviderKeys:
        """What the agent signs in with."""


class JobQueue(Protocol):
    """Notifications on their way."""

    async def add(self, source_queue: str, event_id: str, job: DeliveryJob) -> bool:
        """Puts a job into the queue, once per event consumed; False when it was there."""

    async def claim(
        self, min_priority: int, limit: int, now: datetime, lease_expires_at: datetime
    ) -> Sequence[DeliveryJob]:
        """Jobs that are due, of this priority or more, the most urgent first; nobody else gets them until then."""

    async def reschedule(self, job: DeliveryJob, due_at: datetime) -> bool:
        """Puts the job back until `due`; False when the claim is lost."""

    async def complete(self, job: DeliveryJob, event: NotificationsEvent | None) -> bool:
        """Removes the job, and lets the event leave; False when the claim is lost."""


class HistoryRepository(Protocol):
    """What came of every notification."""

    async def insert_if_absent(self, notification: Notification) -> None:
        """Keeps a new notification, unless there is one of the same id."""

    async def upsert(self, notification: Notification) -> None:
        """Keeps how it stands now."""

    async def delete_for_user(self, user_id: str) -> None:
        """Removes what a user was told."""

    async def find(
        self, history_filter: HistoryFilter, limit: int, before: tuple[datetime, str] | None, *, include_mails: bool
    ) -> Sequence[Notification]:
        """Newest first."""


class PushClient(Protocol):
    """A carrier of pushes."""

    async def push(self, token: str, push: Push) -> ProviderResponse:
        """Sends to one device."""


class MailClient(Protocol):
    """A carrier of mail."""

    async def send(self, mail: Mail) -> ProviderResponse:
        """Hands the mail over."""


class CircuitBreaker(Protocol):
    """Keeps us from a provider that is failing, or has asked us to wait."""

    def reserve_permission(self) -> float:
        """Seconds until it may be asked; 0 for now."""

    def record(self, response: ProviderResponse) -> None:
        """Takes an answer into account."""


class ProviderRegistry(Protocol):
    """Every provider there is."""

    mail_client: MailClient

    async def get_push_client(self, agent: Agent, provider: Provider) -> PushClient | None:
        """Who carries the agent's pushes there; None when nobody does."""

    def get_breaker(self, agent: Agent, provider: Provider) -> CircuitBreaker:
        """The provider's gate."""
