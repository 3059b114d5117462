"""The world of notifications, by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from services.notifications import texts
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import (
    ACCEPTED,
    Answer,
    Device,
    Mail,
    Notification,
    Provider,
    Push,
    User,
)
from services.notifications.domain.progress import Job, Patience
from services.notifications.usecases.dispatch import Dispatch, deliver
from services.notifications.usecases.intake import Happened, Intake
from services.runtime.refusal import Reason, Refusal

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALL = (Provider.FCM, Provider.APNS, Provider.EMAIL)
AGENT = Agent("orders", "Orders", 5, ALL, 3600, enabled=True)
ADA = User("ada", "ada@b.c", "de-AT", None, 1)
PATIENCE = Patience(first_s=1, longest_s=60, fallback_s=10, rounds=8)


@dataclass
class Carrier:
    """Answers as it was told, then accepts."""

    answers: list[Answer] = field(default_factory=list)
    sent: list[tuple[str, Push | Mail]] = field(default_factory=list)

    async def push(self, token: str, push: Push) -> Answer:
        self.sent.append((token, push))
        return self.answers.pop(0) if self.answers else ACCEPTED

    async def send(self, mail: Mail) -> Answer:
        self.sent.append((mail.to, mail))
        return self.answers.pop(0) if self.answers else ACCEPTED


class Open:
    """A gate that is shut for as long as it is told."""

    shut = 0.0

    def wait(self) -> float:
        return self.shut

    def heard(self, answer: Answer) -> None:
        """Nothing."""


class World:
    """Stores, providers and the clock in one."""

    def __init__(self, *devices: Device, user: User | None = ADA, agent: Agent | None = AGENT) -> None:
        self.now = AT
        self.of_ada = list(devices)
        self.ada = user
        self.only_agent = agent
        self.carriers = {provider: Carrier() for provider in ALL}
        self.mailer = self.carriers[Provider.EMAIL]
        self.only_gate = Open()
        self.jobs: dict[str, tuple[Job, datetime]] = {}
        self.seen: set[tuple[str, str]] = set()
        self.kept: dict[str, Notification] = {}
        self.told: list[object] = []
        self.history_away = False

    async def user(self, user_id: str) -> User | None:
        return self.ada

    async def devices(self, user_id: str) -> Sequence[Device]:
        return self.of_ada

    async def drop_device(self, user_id: str, token: str) -> None:
        self.of_ada = [device for device in self.of_ada if device.token != token]

    async def put_user(self, user: User, token: str | None) -> None:
        self.ada = user

    async def agent(self, agent_id: str) -> Agent | None:
        return self.only_agent

    async def pusher(self, agent: Agent, provider: Provider) -> Carrier | None:
        return self.carriers.get(provider)

    def gate(self, agent: Agent, provider: Provider) -> Open:
        return self.only_gate

    async def add(self, queue: str, event_id: str, job: Job) -> bool:
        if (queue, event_id) in self.seen:
            return False
        self.seen.add((queue, event_id))
        self.jobs[job.id] = (job, self.now)
        return True

    async def claim(self, least: int, many: int, now: datetime, until: datetime) -> Sequence[Job]:
        due = sorted(
            (job for job, at in self.jobs.values() if at <= now and job.priority >= least), key=lambda j: -j.priority
        )[:many]
        for job in due:
            self.jobs[job.id] = (job, until)
        return [replace(job, claim=until) for job in due]

    async def keep(self, job: Job, due: datetime) -> bool:
        self.jobs[job.id] = (job, due)
        return True

    async def finish(self, job: Job, event: object) -> bool:
        if self.jobs.pop(job.id, None) is None:
            return False
        self.told.append(event)
        return True

    async def drop(self, user_id: str) -> None:
        self.jobs = {name: entry for name, entry in self.jobs.items() if entry[0].mail is not None}

    async def start(self, notification: Notification) -> None:
        self.kept.setdefault(notification.id, notification)

    async def save(self, notification: Notification) -> None:
        if self.history_away:
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE)
        self.kept[notification.id] = notification

    async def forget(self, user_id: str) -> None:
        self.kept.clear()

    async def find(self, wanted: object, size: int, before: object, *, mails: bool) -> Sequence[Notification]:
        return list(self.kept.values())

    def clock(self) -> datetime:
        return self.now

    @property
    def intake(self) -> Intake:
        return Intake(self, self, self, self, self.clock, [])

    def happened(self, event_id: str = "e1", kind: str = "orders.paid") -> Happened:
        return Happened("q", event_id, kind, {})

    async def step(self, patience: Patience = PATIENCE) -> bool:
        """Takes every job that is due a step further; says whether one is left."""
        letter: Mapping[str, texts.MailTemplate] = texts.mails()[texts.LETTER]
        work = Dispatch(self, self, self, self, self, letter, patience, self.clock)
        for job in await self.claim(1, 100, self.now, self.now + timedelta(minutes=1)):
            await deliver(work, job)
        return bool(self.jobs)

    async def run(self, patience: Patience = PATIENCE) -> Notification:
        """Goes on, through time, until nothing is left. Every job ends some day."""
        for _ in range(500):
            if not await self.step(patience):
                return self.kept["e1"]
            self.now = max(self.now, min(due for _, due in self.jobs.values()))
        raise AssertionError("it never ends")
