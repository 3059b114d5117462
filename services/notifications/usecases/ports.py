"""What the use cases need of the world."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from generated.events import NotificationsEvent
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import (
    Answer,
    Device,
    Mail,
    Notification,
    Provider,
    Push,
    Status,
    Text,
    User,
)
from services.notifications.domain.progress import Job
from services.runtime.idempotency import Kept, Key


class NotYet(Exception):
    """It cannot be done now, but may be later: a user not heard of yet."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said for one type of event: by which agent, to whom and about which order (paths), in which words."""

    agent: str
    to: str
    order: str | None
    texts: Mapping[str, Text]


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """A mail in one language; all three may hold names in braces."""

    subject: str
    text: str
    html: str


class Wanted(NamedTuple):
    """Narrows a list of notifications."""

    user_id: str | None = None
    agent_id: str | None = None
    status: Status | None = None


class Keys(NamedTuple):
    """What an agent signs in with at providers, as text; None for ours."""

    fcm: str | None = None
    apns: str | None = None


class Users(Protocol):
    """Users and their devices."""

    async def put_user(self, user: User, token: str | None) -> None:
        """Keeps where a user is reached, unless something newer is known; a version without a token forgets devices."""

    async def user(self, user_id: str) -> User | None:
        """Where a user is reached."""

    async def devices(self, user_id: str) -> Sequence[Device]:
        """The newest first."""

    async def drop_device(self, user_id: str, token: str) -> None:
        """Forgets a device, until the user names it again."""


class Agents(Protocol):
    """Senders."""

    async def agent(self, agent_id: str) -> Agent | None:
        """The agent, enabled or not."""


class AgentUnit(Protocol):
    """One transaction in which an agent is made."""

    async def add_agent(self, agent: Agent, keys: Mapping[str, str]) -> None:
        """Keeps a new agent and its keys."""


class AgentStore(Agents, Protocol):
    """Senders, as they are managed."""

    async def once(self, key: Key | None, work: Callable[[AgentUnit], Awaitable[bytes]]) -> Kept:
        """Does the work in a unit, or gives the first answer to the key again."""

    async def agents(self, size: int, after: str | None) -> Sequence[Agent]:
        """By id."""

    async def save_agent(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        """Keeps the next version of an agent; False when somebody else has made it. A key of None is removed."""

    async def keys(self, agent_id: str) -> Keys:
        """What the agent signs in with."""


class Queue(Protocol):
    """Notifications on their way."""

    async def add(self, queue: str, event_id: str, job: Job) -> bool:
        """Puts a job into the queue, once per event consumed; False when it was there."""

    async def claim(self, least: int, many: int, now: datetime, until: datetime) -> Sequence[Job]:
        """Jobs that are due, of this priority or more, the most urgent first; nobody else gets them until then."""

    async def keep(self, job: Job, due: datetime) -> bool:
        """Puts the job back until `due`; False when the claim is lost."""

    async def finish(self, job: Job, event: NotificationsEvent | None) -> bool:
        """Removes the job, and lets the event leave; False when the claim is lost."""


class History(Protocol):
    """What came of every notification."""

    async def start(self, notification: Notification) -> None:
        """Keeps a new notification, unless there is one of the same id."""

    async def save(self, notification: Notification) -> None:
        """Keeps how it stands now."""

    async def forget(self, user_id: str) -> None:
        """Removes what a user was told."""

    async def find(
        self, wanted: Wanted, size: int, before: tuple[datetime, str] | None, *, mails: bool
    ) -> Sequence[Notification]:
        """Newest first."""


class PushCarrier(Protocol):
    """A carrier of pushes."""

    async def push(self, token: str, push: Push) -> Answer:
        """Sends to one device."""


class MailCarrier(Protocol):
    """A carrier of mail."""

    async def send(self, mail: Mail) -> Answer:
        """Hands the mail over."""


class Gate(Protocol):
    """Keeps us from a provider that is failing, or has asked us to wait."""

    def wait(self) -> float:
        """Seconds until it may be asked; 0 for now."""

    def heard(self, answer: Answer) -> None:
        """Takes an answer into account."""


class Carriers(Protocol):
    """Every provider there is."""

    mailer: MailCarrier

    async def pusher(self, agent: Agent, provider: Provider) -> PushCarrier | None:
        """Who carries the agent's pushes there; None when nobody does."""

    def gate(self, agent: Agent, provider: Provider) -> Gate:
        """The provider's gate."""
