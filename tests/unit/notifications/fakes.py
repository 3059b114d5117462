"""In-memory fakes of the repositories, providers and clock of notifications."""

from collections import UserDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.notifications.adapters import template_loader
from services.notifications.domain.agents import Agent
from services.notifications.domain.delivery_state import DeliveryJob, Lease, RetryPolicy
from services.notifications.domain.notifications import (
    ACCEPTED_RESPONSE,
    RETAINED_STATUSES,
    Contact,
    Device,
    HistoryFilter,
    Mail,
    Notification,
    Provider,
    ProviderResponse,
    Push,
    RegisteredDevice,
    Status,
    User,
    detect_provider,
)
from services.notifications.usecases.deliver import DeliveryContext, deliver
from services.notifications.usecases.delivery_jobs import DeliveryJobs
from services.notifications.usecases.enqueue import FALLBACK_MAIL_TEMPLATE, NotificationEnqueuer, SourceEvent
from services.runtime.concurrency.worker_pool import Reservation
from services.runtime.core.errors import ApiError, Reason
from tests.unit.fake_transactions import NOW, FakeTransactions

START_TIME = NOW
LEASED_UNTIL = NOW + timedelta(minutes=1)
"""End of the lease of a job that is delivered at once."""
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


class FakeUsers:
    """Users and devices, stored in the backend, which has one user."""

    def __init__(self, backend: "FakeBackend") -> None:
        self.backend = backend

    async def get(self, key: str) -> User | None:
        return self.backend.only_user

    async def get_contact(self, user_id: str) -> Contact:
        self.backend.contacts_read += 1
        return Contact(self.backend.only_user, self.backend.user_devices)

    async def save(self, user: User) -> None:
        self.backend.only_user = user

    async def register_device(self, user: User, token: str, registered_at: datetime) -> None:
        self.backend.user_devices = [*self.backend.user_devices, Device(detect_provider(token), token)]
        self.backend.registered_at = registered_at

    async def delete_devices(self, user: User) -> None:
        self.backend.user_devices = []

    async def anonymise_registrations(self, user_id: str) -> None:
        self.backend.registered_at = None

    async def delete_device(self, user_id: str, token: str) -> None:
        self.backend.user_devices = [device for device in self.backend.user_devices if device.token != token]


class FakeDevices(UserDict[str, RegisteredDevice]):
    """Registered devices by id. Deleted users cannot register any."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted_users: set[str] = set()

    async def list_for_user(self, user_id: str) -> Sequence[RegisteredDevice]:
        devices = [device for device in self.data.values() if device.user_id == user_id]
        return sorted(devices, key=lambda device: device.registered_at, reverse=True)

    async def save(self, device: RegisteredDevice) -> bool:
        if device.user_id in self.deleted_users:
            return False
        self.data[device.id] = device
        return True

    async def remove(self, user_id: str, device_id: str) -> bool:
        return device_id in self.data and self.data[device_id].user_id == user_id and bool(self.data.pop(device_id))

    async def remove_all(self, user_id: str, until: datetime | None = None) -> None:
        for device in await self.list_for_user(user_id):
            if until is None or device.registered_at <= until:
                del self.data[device.id]


class FakeAgents(UserDict[str, Agent]):
    """Agents by id, and their keys."""

    def __init__(self, *agents: Agent) -> None:
        super().__init__()
        self.data.update({agent.id: agent for agent in agents})
        self.keys_by_agent: dict[str, Mapping[str, str | None]] = {}

    async def get(self, key: str) -> Agent | None:
        return self.data.get(key)

    async def list_after(self, after: str, size: int) -> Sequence[Agent]:
        return [agent for agent_id, agent in sorted(self.data.items()) if agent_id > after][:size]

    async def add(self, agent: Agent, keys: Mapping[str, str]) -> None:
        self.data[agent.id], self.keys_by_agent[agent.id] = agent, keys

    async def save(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        if self.data[agent.id].version != agent.version - 1:
            return False
        self.data[agent.id], self.keys_by_agent[agent.id] = agent, keys
        return True


@dataclass
class OnlyAgent:
    """Cache that returns one agent for every id."""

    agent: Agent | None

    async def get(self, key: str) -> Agent | None:
        return self.agent


class FakeJobs(UserDict[str, tuple[DeliveryJob, datetime]]):
    """Jobs by id, with their due times, which identify their leases."""

    def __init__(self, backend: "FakeBackend") -> None:
        super().__init__()
        self.backend = backend
        self.writes = 0

    async def add_new(self, jobs: Mapping[tuple[str, str], DeliveryJob]) -> set[tuple[str, str]]:
        self.writes += 1
        new_events = {event for event in jobs if await self.backend.mark_event_processed(*event)}
        for event in new_events:
            job = replace(jobs[event], contact=None)
            self.data[job.id] = job, job.lease_expires_at or job.notification.created_at
        return new_events

    def is_held(self, lease: Lease) -> bool:
        job_id, lease_expires_at = lease
        return job_id in self.data and lease_expires_at in (None, self.data[job_id][1])

    async def reschedule(self, job: DeliveryJob, due_at: datetime) -> bool:
        if not self.is_held(job.lease):
            return False
        self.data[job.id] = (job, due_at)
        return True

    async def complete(self, results: Mapping[Lease, object]) -> set[Lease]:
        self.writes += 1
        completed = {lease for lease in results if self.is_held(lease)}
        for job_id, _ in completed:
            del self.data[job_id]
        self.backend.events += [event for lease, event in results.items() if lease in completed]
        return completed

    async def delete_for_user(self, user_id: str) -> None:
        self.data = {job_id: entry for job_id, entry in self.data.items() if entry[0].mail is not None}

    async def claim(
        self, min_priority: int, limit: int, now: datetime, lease_expires_at: datetime
    ) -> Sequence[DeliveryJob]:
        due_jobs = sorted(
            (job for job, due_at in self.data.values() if due_at <= now and job.priority >= min_priority),
            key=lambda job: -job.priority,
        )[:limit]
        for job in due_jobs:
            self.data[job.id] = (job, lease_expires_at)
        return [replace(job, lease_expires_at=lease_expires_at) for job in due_jobs]


class FakeWorkers:
    """Workers, of which `free` can be reserved, and the jobs that were started."""

    def __init__(self, free: int = 0) -> None:
        self.free = free
        self.notified = 0
        self.started: list[DeliveryJob] = []

    def reserve(self, priority: int) -> Reservation[DeliveryJob] | None:
        if self.free == 0:
            return None
        self.free -= 1
        return Reservation(LEASED_UNTIL, self.started.append, self.end_reservation)

    def end_reservation(self) -> None:
        self.free += 1

    def notify(self) -> None:
        self.notified += 1


class FakeBackend(FakeTransactions):
    """Repository, history and providers."""

    def __init__(self, *devices: Device, user: User | None = ADA, agent: Agent | None = AGENT) -> None:
        super().__init__()
        self.user_devices: Sequence[Device] = devices
        self.only_user = user
        self.contacts_read = 0
        self.registered_at: datetime | None = None
        self.users = FakeUsers(self)
        self.devices = FakeDevices()
        self.agents = FakeAgents(*([] if agent is None else [agent]))
        self.agent_cache = OnlyAgent(agent)
        self.jobs = FakeJobs(self)
        self.workers = FakeWorkers()
        self.clients = {provider: FakeProviderClient() for provider in ALL_PROVIDERS}
        self.mail_client = self.clients[Provider.EMAIL]
        self.only_breaker = FakeCircuitBreaker()
        self.stored_notifications: dict[str, Notification] = {}
        self.history_unavailable = False

    def prepare_event(self, event: object) -> object:
        return event

    async def get_push_client(self, agent: Agent, provider: Provider) -> FakeProviderClient | None:
        return self.clients.get(provider)

    def get_breaker(self, agent: Agent, provider: Provider) -> FakeCircuitBreaker:
        return self.only_breaker

    async def insert_if_absent(self, notification: Notification) -> None:
        self.stored_notifications.setdefault(notification.id, notification)

    async def upsert(self, notification: Notification) -> None:
        if self.history_unavailable:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        stored = self.stored_notifications.get(notification.id)
        if stored is None or stored.status not in RETAINED_STATUSES[notification.status]:
            self.stored_notifications[notification.id] = notification

    async def set_failed(self, notification_id: str, reason: str) -> None:
        notification = self.stored_notifications[notification_id]
        self.stored_notifications[notification_id] = replace(notification, status=Status.FAILED, reason=reason)

    async def delete_for_user(self, user_id: str) -> None:
        self.stored_notifications.clear()

    async def find(
        self, history_filter: HistoryFilter, limit: int, before: object, *, include_mails: bool
    ) -> Sequence[Notification]:
        criteria = {name: value for name, value in history_filter._asdict().items() if value is not None}
        return [
            notification
            for notification in self.stored_notifications.values()
            if all(getattr(notification, name) == value for name, value in criteria.items())
        ]

    @property
    def enqueuer(self) -> NotificationEnqueuer:
        return NotificationEnqueuer(self.users, self.agent_cache, DeliveryJobs(self), self, self.clock, self.workers)

    def make_source_event(self, event_id: str = "e1", event_type: str = "orders.paid") -> SourceEvent:
        return SourceEvent("q", event_id, event_type, {})

    def create_context(self, retry_policy: RetryPolicy = RETRY_POLICY) -> DeliveryContext:
        """Return the context of delivery steps."""
        templates = template_loader.load_mail_templates()[FALLBACK_MAIL_TEMPLATE]
        jobs = DeliveryJobs(self)
        return DeliveryContext(self, self.agent_cache, self, jobs, self, templates, retry_policy, self.clock)

    async def step(self, retry_policy: RetryPolicy = RETRY_POLICY) -> bool:
        """Run one step of every due job; return whether a job is left."""
        context = self.create_context(retry_policy)
        for job in await self.jobs.claim(1, 100, self.now, self.now + timedelta(minutes=1)):
            due_at = await deliver(context, job)
            assert due_at == (self.jobs[job.id][1] if job.id in self.jobs else None)
        return bool(self.jobs)

    async def run(self, retry_policy: RetryPolicy = RETRY_POLICY) -> Notification:
        """Run steps and advance the clock until no job is left; return the notification e1."""
        for _ in range(500):
            if not await self.step(retry_policy):
                return self.stored_notifications["e1"]
            self.now = max(self.now, min(due_at for _, due_at in self.jobs.values()))
        raise AssertionError("delivery does not terminate")
