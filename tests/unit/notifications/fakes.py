"""In-memory fakes of the repositories, providers and clock of notifications."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from services.notifications.adapters import template_loader
from services.notifications.domain.agents import Agent
from services.notifications.domain.delivery_state import DeliveryJob, RetryPolicy
from services.notifications.domain.notifications import (
    ACCEPTED_RESPONSE,
    Device,
    Mail,
    Notification,
    Provider,
    ProviderResponse,
    Push,
    User,
)
from services.notifications.usecases.deliver import DeliveryContext, deliver
from services.notifications.usecases.enqueue import FALLBACK_MAIL_TEMPLATE, NotificationEnqueuer, SourceEvent
from services.runtime.core.errors import ApiError, Reason

START_TIME = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALL_PROVIDERS = (Provider.FCM, Provider.APNS, Provider.EMAIL)
AGENT = Agent("orders", "Orders", 5, ALL_PROVIDERS, 3600, enabled=True)
ADA = User("ada", "ada@b.c", "de-AT", None, 1)
RETRY_POLICY = RetryPolicy(initial_delay_s=1, max_delay_s=60, fallback_after_s=10, max_rounds=8)


@dataclass
class FakeProviderClient:
    """Provider client that returns the given responses in turn, then accepts."""

    responses: list[ProviderResponse] = field(default_factory=list)
    sent: list[tuple[str, Push | Mail]] = field(default_factory=list)

    async def push(self, token: str, push: Push) -> ProviderResponse:
        self.sent.append((token, push))
        return self.responses.pop(0) if self.responses else ACCEPTED_RESPONSE

    async def send(self, mail: Mail) -> ProviderResponse:
        self.sent.append((mail.to, mail))
        return self.responses.pop(0) if self.responses else ACCEPTED_RESPONSE


class FakeCircuitBreaker:
    """Circuit breaker that is open for the duration `open_for`."""

    open_for = timedelta(0)

    def reserve_permission(self) -> timedelta:
        return self.open_for

    def record(self, response: ProviderResponse) -> None:
        """Ignore the response."""


class FakeBackend:
    """All repositories, providers and the clock in one object."""

    def __init__(self, *devices: Device, user: User | None = ADA, agent: Agent | None = AGENT) -> None:
        self.now = START_TIME
        self.user_devices = list(devices)
        self.only_user = user
        self.only_agent = agent
        self.clients = {provider: FakeProviderClient() for provider in ALL_PROVIDERS}
        self.mail_client = self.clients[Provider.EMAIL]
        self.only_breaker = FakeCircuitBreaker()
        self.jobs: dict[str, tuple[DeliveryJob, datetime]] = {}
        self.processed_events: set[tuple[str, str]] = set()
        self.stored_notifications: dict[str, Notification] = {}
        self.published_events: list[object] = []
        self.history_unavailable = False

    async def get_user(self, user_id: str) -> User | None:
        return self.only_user

    async def list_devices(self, user_id: str) -> Sequence[Device]:
        return self.user_devices

    async def delete_device(self, user_id: str, token: str) -> None:
        self.user_devices = [device for device in self.user_devices if device.token != token]

    async def upsert_user(self, user: User, token: str | None, registered_at: datetime | None = None) -> None:
        self.only_user = user

    async def delete_user(self, user_id: str, version: int) -> None:
        self.only_user = User(user_id, "", None, None, version)

    async def get(self, key: str) -> Agent | None:
        return self.only_agent

    async def get_push_client(self, agent: Agent, provider: Provider) -> FakeProviderClient | None:
        return self.clients.get(provider)

    def get_breaker(self, agent: Agent, provider: Provider) -> FakeCircuitBreaker:
        return self.only_breaker

    async def add(self, source_queue: str, event_id: str, job: DeliveryJob) -> bool:
        if (source_queue, event_id) in self.processed_events:
            return False
        self.processed_events.add((source_queue, event_id))
        self.jobs[job.id] = (job, self.now)
        return True

    async def claim(
        self, min_priority: int, limit: int, now: datetime, lease_expires_at: datetime
    ) -> Sequence[DeliveryJob]:
        due_jobs = sorted(
            (job for job, due_at in self.jobs.values() if due_at <= now and job.priority >= min_priority),
            key=lambda job: -job.priority,
        )[:limit]
        for job in due_jobs:
            self.jobs[job.id] = (job, lease_expires_at)
        return [replace(job, lease_expires_at=lease_expires_at) for job in due_jobs]

    async def reschedule(self, job: DeliveryJob, due_at: datetime) -> bool:
        self.jobs[job.id] = (job, due_at)
        return True

    async def complete(self, job: DeliveryJob, event: object) -> bool:
        if self.jobs.pop(job.id, None) is None:
            return False
        self.published_events.append(event)
        return True

    async def discard_for_user(self, user_id: str) -> None:
        self.jobs = {job_id: entry for job_id, entry in self.jobs.items() if entry[0].mail is not None}

    async def insert_if_absent(self, notification: Notification) -> None:
        self.stored_notifications.setdefault(notification.id, notification)

    async def upsert(self, notification: Notification) -> None:
        if self.history_unavailable:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        self.stored_notifications[notification.id] = notification

    async def delete_for_user(self, user_id: str) -> None:
        self.stored_notifications.clear()

    async def find(
        self, history_filter: object, limit: int, before: object, *, include_mails: bool
    ) -> Sequence[Notification]:
        return list(self.stored_notifications.values())

    def clock(self) -> datetime:
        return self.now

    @property
    def enqueuer(self) -> NotificationEnqueuer:
        return NotificationEnqueuer(self, self, self, self, self.clock, [])

    def make_source_event(self, event_id: str = "e1", event_type: str = "orders.paid") -> SourceEvent:
        return SourceEvent("q", event_id, event_type, {})

    async def step(self, retry_policy: RetryPolicy = RETRY_POLICY) -> bool:
        """Run one step of every due job; return whether a job is left."""
        templates = template_loader.load_mail_templates()[FALLBACK_MAIL_TEMPLATE]
        context = DeliveryContext(self, self, self, self, self, templates, retry_policy, self.clock)
        for job in await self.claim(1, 100, self.now, self.now + timedelta(minutes=1)):
            await deliver(context, job)
        return bool(self.jobs)

    async def run(self, retry_policy: RetryPolicy = RETRY_POLICY) -> Notification:
        """Run steps and advance the clock until no job is left; return the notification e1."""
        for _ in range(500):
            if not await self.step(retry_policy):
                return self.stored_notifications["e1"]
            self.now = max(self.now, min(due_at for _, due_at in self.jobs.values()))
        raise AssertionError("delivery does not terminate")
