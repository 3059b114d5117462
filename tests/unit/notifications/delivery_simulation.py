"""Simulation of deliveries with a clock, a queue and providers in memory, and strategies for its inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

from hypothesis import strategies as st

from services.notifications.domain.agents import Agent, QuietHours
from services.notifications.domain.delivery_state import (
    BreakerOpen,
    DeliveryJob,
    DeliveryState,
    Finish,
    LoadRecipient,
    ProviderResponses,
    Recipient,
    Reschedule,
    RetryPolicy,
    Send,
    StepResult,
)
from services.notifications.domain.notifications import (
    Mail,
    Notification,
    Outcome,
    Provider,
    ProviderResponse,
    Status,
    User,
)

START_TIME = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADDRESSES = {
    Provider.FCM: ("phone", "tablet"),
    Provider.APNS: ("ab" * 32,),
    Provider.EMAIL: ("ada@delivery.test",),
}
ADA = User("ada", "ada@delivery.test", "en", "UTC", 1)
MAIL = Mail("n1", "ada@delivery.test", "Subject", "text", "html")


@dataclass(frozen=True)
class ProviderBehaviour:
    """Reaction to one send: an open circuit breaker, or responses after a latency."""

    breaker_delay: timedelta
    latency: timedelta
    responses: tuple[ProviderResponse, ...]
    jitter: float

    def react(self, send: Send) -> StepResult:
        if self.breaker_delay:
            return BreakerOpen(self.breaker_delay)
        responses = (self.responses[index % len(self.responses)] for index in range(len(send.addresses)))
        return ProviderResponses(dict(zip(send.addresses, responses, strict=True)), self.jitter)


@dataclass(frozen=True)
class Case:
    """Inputs of a simulation. The last recipient and behaviour apply to all later steps."""

    job: DeliveryJob
    policy: RetryPolicy
    recipients: Sequence[Recipient]
    behaviours: Sequence[ProviderBehaviour]


@dataclass(frozen=True)
class SentRound:
    """One send, with the time at which the recipient was loaded and the result."""

    loaded_at: datetime
    at: datetime
    completed_at: datetime
    send: Send
    result: StepResult

    def list_responses(self) -> list[tuple[str, ProviderResponse]]:
        return list(self.result.by_address.items()) if isinstance(self.result, ProviderResponses) else []


@dataclass
class Delivery:
    """Course of a simulated delivery."""

    rounds: list[SentRound] = field(default_factory=list)
    due_times: list[datetime] = field(default_factory=list)
    notification: Notification | None = None
    finished_at: datetime = START_TIME

    def get_result(self) -> Notification:
        assert self.notification is not None
        return self.notification

    def list_responses(self) -> list[tuple[Provider, str, ProviderResponse]]:
        return [
            (sent.send.provider, address, response)
            for sent in self.rounds
            for address, response in sent.list_responses()
        ]


def simulate(case: Case) -> Delivery:
    """Run delivery steps until the job is finished. A day of open circuit breakers takes 1440 steps."""
    delivery, job, now, recipients = Delivery(), case.job, START_TIME, list(case.recipients)
    behaviours = list(case.behaviours)
    for _ in range(2000):
        state, loaded_at = DeliveryState.start(job, case.policy), now
        due_at = None
        while due_at is None:
            result: StepResult
            match state.decide_next_step(now):
                case LoadRecipient():
                    loaded_at = now
                    result = recipients.pop(0) if len(recipients) > 1 else recipients[0]
                case Send() as send:
                    behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
                    result, sent_at = behaviour.react(send), now
                    now += behaviour.latency
                    delivery.rounds.append(SentRound(loaded_at, sent_at, now, send, result))
                case Reschedule(due_at):
                    break
                case Finish(notification):
                    delivery.notification, delivery.finished_at = notification, now
                    return delivery
            state = state.apply(result, now)
        assert due_at is not None
        delivery.due_times.append(due_at)
        job, now = state.job, max(now, due_at)
    raise AssertionError("delivery does not terminate")


def make_job(mail: Mail | None = None, ttl: timedelta = timedelta(hours=1)) -> DeliveryJob:
    notification = Notification("n1", "ada", "orders.paid", "o1", "orders", "T", "B", Status.QUEUED, START_TIME)
    return DeliveryJob(notification, 5, START_TIME + ttl, mail)


def make_recipient(agent: Agent | None, user: User | None = ADA, *providers: Provider) -> Recipient:
    return Recipient(agent, user, {provider: ADDRESSES[provider] for provider in providers})


AGENT = Agent("orders", "Orders", 5, tuple(Provider), 3600, enabled=True)

latencies = st.sampled_from([0, 0, 0, 1, 30, 120]).map(lambda value: timedelta(seconds=value))
breaker_delays = st.sampled_from([0, 0, 0, 1, 10]).map(lambda value: timedelta(minutes=value))
retry_delays = st.sampled_from([None, None, timedelta(seconds=1), timedelta(seconds=90)])
outcomes = st.sampled_from(
    [Outcome.BUSY, Outcome.UNCLEAR, Outcome.REJECTED, Outcome.BUSY, Outcome.UNCLEAR, Outcome.ACCEPTED]
)
responses = st.builds(ProviderResponse, outcomes, st.just("code"), retry_delays)
behaviours = st.builds(
    ProviderBehaviour, breaker_delays, latencies, st.tuples(responses, responses), st.sampled_from([0.0, 0.5, 1.0])
)
policies = st.builds(
    RetryPolicy,
    initial_delay_s=st.sampled_from([0.5, 5.0]),
    max_delay_s=st.sampled_from([5.0, 60.0]),
    fallback_after_s=st.sampled_from([0.0, 10.0, 120.0, 7200.0]),
    max_rounds=st.integers(1, 4),
)
quiet_hours = st.sampled_from(
    [
        None,
        None,
        QuietHours("11:00", "12:30"),
        QuietHours("12:01", "12:20"),
        QuietHours("22:00", "07:00"),
        QuietHours("11:00", "23:00"),
    ]
)
agents = st.builds(
    lambda providers, quiet_hours: replace(AGENT, providers=providers, quiet_hours=quiet_hours),
    st.sampled_from([*permutations(Provider), *permutations(Provider, 2), *permutations(Provider, 1)]),
    quiet_hours,
)
rejected_recipients = st.sampled_from(
    [
        make_recipient(None),
        make_recipient(replace(AGENT, enabled=False)),
        make_recipient(AGENT, None),
        make_recipient(AGENT, replace(ADA, email="")),
        make_recipient(AGENT),
    ]
)


@st.composite
def recipients(draw: st.DrawFn) -> Recipient:
    if draw(st.integers(0, 9)) == 9:
        return draw(rejected_recipients)
    agent = draw(agents)
    missing = draw(st.sampled_from([None, None, None, *Provider]))
    user = draw(st.sampled_from([ADA, ADA, replace(ADA, time_zone="Asia/Tokyo")]))
    return make_recipient(agent, user, *(provider for provider in agent.providers if provider is not missing))


@st.composite
def cases(draw: st.DrawFn, *, changing: bool = False) -> Case:
    ttl = timedelta(seconds=draw(st.sampled_from([5, 60, 300, 3600, 7200, 86400])))
    mail = draw(st.sampled_from([None, None, None, MAIL]))
    drawn_recipients = draw(st.lists(recipients(), min_size=1, max_size=4 if changing else 1))
    if mail is not None:
        drawn_recipients = [
            replace(recipient, addresses={Provider.EMAIL: (mail.to,)}) for recipient in drawn_recipients
        ]
    drawn_behaviours = draw(st.lists(behaviours, min_size=1, max_size=12))
    return Case(make_job(mail, ttl), draw(policies), drawn_recipients, drawn_behaviours)
