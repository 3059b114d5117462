"""Delivery state machine of a notification: send, retry, fall back to the next provider, or finish.

`DeliveryState` is pure. A delivery step alternates between `decide_next_step`, which returns the I/O to do, and
`apply`, which returns the state after its result. Only `DeliveryState.job` is stored between the steps.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from services.notifications.domain.agents import Agent, find_quiet_hours_end
from services.notifications.domain.notifications import (
    FINAL_OUTCOMES,
    Attempt,
    Contact,
    Mail,
    Notification,
    Outcome,
    Provider,
    ProviderResponse,
    Status,
    User,
)
from services.runtime.core import backoff

type SourceKey = tuple[str, str]
"""Queue and id of a consumed event."""

MAX_STORED_ATTEMPTS = 100
"""Number of attempts stored with a notification, the most recent ones. The contract has the same limit."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retry limits at one provider.

    Delays are exponential between `initial_delay_s` and `max_delay_s`. After `fallback_after_s` seconds the next
    provider is used. `max_rounds` is the maximum number of rounds at one provider.
    """

    initial_delay_s: float = 1.0
    max_delay_s: float = 300.0
    fallback_after_s: float = 30.0
    max_rounds: int = 40


type Lease = tuple[str, datetime | None]
"""Lease of a worker on a job: the job's id and the end of the lease, which identifies it."""


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """Notification in delivery.

    `provider` is the current provider, used since `provider_started_at` for `rounds` rounds. `final_addresses` are its
    addresses with a final response. `has_unclear_response` is set once one of its responses was UNCLEAR.
    `is_accepted` is set once any provider has accepted the notification. `lease_expires_at` is the end of the
    worker's lease on the job. `contact` was read when the job was created; it is not stored with the job.
    """

    notification: Notification
    priority: int
    expires_at: datetime
    mail: Mail | None = None
    provider: Provider | None = None
    provider_started_at: datetime | None = None
    rounds: int = 0
    final_addresses: tuple[str, ...] = ()
    is_accepted: bool = False
    has_unclear_response: bool = False
    lease_expires_at: datetime | None = None
    trace_context: tuple[tuple[str, str], ...] = ()
    contact: Contact | None = None

    @property
    def id(self) -> str:
        """Return the id of the notification."""
        return self.notification.id

    @property
    def lease(self) -> Lease:
        """Return the worker's lease."""
        return self.id, self.lease_expires_at


@dataclass(frozen=True, slots=True)
class LoadRecipient:
    """Next step: load the recipient."""


@dataclass(frozen=True, slots=True)
class Send:
    """Next step: send to these addresses at the provider, unless its circuit breaker is open."""

    agent: Agent
    user: User | None
    provider: Provider
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Next step: store the job and continue at `due_at`."""

    due_at: datetime


@dataclass(frozen=True, slots=True)
class Finish:
    """Next step: store the notification in its final state and complete the job."""

    notification: Notification


type Step = LoadRecipient | Send | Reschedule | Finish


@dataclass(frozen=True, slots=True)
class Recipient:
    """Result of `LoadRecipient`.

    `addresses` is by provider, in the agent's order; providers without an address or a client are omitted.
    """

    agent: Agent | None
    user: User | None
    addresses: Mapping[Provider, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ProviderResponses:
    """Result of `Send`: responses by address. `jitter` varies the delay of a retry, see `backoff.apply_jitter`."""

    by_address: Mapping[str, ProviderResponse]
    jitter: float


@dataclass(frozen=True, slots=True)
class BreakerOpen:
    """Result of `Send`: the provider's circuit breaker blocks calls for `delay`."""

    delay: timedelta


type StepResult = Recipient | ProviderResponses | BreakerOpen


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """State of a job during a delivery step.

    `candidates` are the providers that may be used, the current one first, with their addresses without a final
    response. `retry_at` is set once nothing can be sent before that time.
    """

    job: DeliveryJob
    policy: RetryPolicy
    candidates: tuple[Send, ...] = ()
    retry_at: datetime | None = None

    @classmethod
    def start(cls, job: DeliveryJob, policy: RetryPolicy) -> Self:
        """Return the state of a claimed job."""
        return cls(job, policy)

    def decide_next_step(self, now: datetime) -> Step:
        """Return the next step. Nothing is sent after the expiry."""
        if self.job.notification.status is not Status.QUEUED:
            return Finish(self.job.notification)
        if now >= self.job.expires_at:
            return Finish(self._finish(Status.EXPIRED, "EXPIRED").job.notification)
        if self.retry_at is not None:
            return Reschedule(min(self.retry_at, self.job.expires_at))
        return self.candidates[0] if self.candidates else LoadRecipient()

    def apply(self, result: StepResult, now: datetime) -> Self:
        """Return the state after the result of the step."""
        match result:
            case Recipient():
                return self._apply_recipient(result, now)
            case ProviderResponses():
                return self._apply_responses(result, now)
            case BreakerOpen():
                return self._retry_or_use_next_provider(now + result.delay, now)

    def _apply_recipient(self, recipient: Recipient, now: datetime) -> Self:
        job, agent, user = self.job, recipient.agent, recipient.user
        if agent is None:
            return self._finish(Status.FAILED, "AGENT_UNKNOWN")
        if (reason := _find_rejection_reason(job, agent, user)) is not None:
            return self._finish(Status.FAILED, reason)
        if job.mail is None and user and (end := find_quiet_hours_end(agent.quiet_hours, user.time_zone, now)):
            return replace(self, retry_at=end)
        tried = agent.providers[: agent.providers.index(job.provider)] if job.provider in agent.providers else ()
        candidates = tuple(
            Send(agent, user, provider, tuple(addresses))
            for provider, addresses in recipient.addresses.items()
            if provider not in tried
        )
        if job.is_accepted and job.provider not in [candidate.provider for candidate in candidates]:
            return self._finish(Status.SENT)
        return replace(self, candidates=candidates)._start_provider(now)

    def _apply_responses(self, responses: ProviderResponses, now: datetime) -> Self:
        job, current = self.job, self.candidates[0]
        by_address = responses.by_address
        outcomes = {response.outcome for response in by_address.values()}
        accepted = Outcome.ACCEPTED in outcomes
        new_attempts = tuple(Attempt(current.provider, now, response.code) for response in by_address.values())
        job = replace(
            job,
            notification=replace(
                job.notification,
                attempts=(*job.notification.attempts, *new_attempts)[-MAX_STORED_ATTEMPTS:],
                sent_at=job.notification.sent_at or (now if accepted else None),
            ),
            rounds=job.rounds + 1,
            final_addresses=job.final_addresses
            + tuple(address for address, response in by_address.items() if response.outcome in FINAL_OUTCOMES),
            is_accepted=job.is_accepted or accepted,
            has_unclear_response=job.has_unclear_response or Outcome.UNCLEAR in outcomes,
        )
        delay = _compute_retry_delay(job.rounds, self.policy, by_address.values(), responses.jitter)
        return replace(self, job=job)._skip_final_addresses()._retry_or_use_next_provider(now + delay, now)

    def _start_provider(self, now: datetime) -> Self:
        """Use the first candidate, or finish without one."""
        if not self.candidates:
            return self._finish(Status.FAILED)
        job, provider = self.job, self.candidates[0].provider
        if job.provider is not provider:
            job = replace(
                job,
                provider=provider,
                provider_started_at=now,
                rounds=0,
                final_addresses=(),
                has_unclear_response=False,
            )
        state = replace(self, job=job)._skip_final_addresses()
        return state if state.candidates[0].addresses else state._retry_or_use_next_provider(now, now)

    def _skip_final_addresses(self) -> Self:
        if not self.job.final_addresses:
            return self
        current = self.candidates[0]
        pending = tuple(address for address in current.addresses if address not in self.job.final_addresses)
        return replace(self, candidates=(replace(current, addresses=pending), *self.candidates[1:]))

    def _retry_or_use_next_provider(self, next_round_at: datetime, now: datetime) -> Self:
        """Decide after a round. Falls back only if the current provider has definitely not delivered."""
        job, policy = self.job, self.policy
        if not self.candidates[0].addresses:
            return self._finish(Status.SENT) if job.is_accepted else self._use_next_provider(now)
        is_fallback_due = (
            now - (job.provider_started_at or now) >= timedelta(seconds=policy.fallback_after_s)
            or next_round_at >= job.expires_at
        )
        if job.is_accepted and is_fallback_due:
            return self._finish(Status.SENT)
        if is_fallback_due and self.candidates[1:] and not job.has_unclear_response:
            return self._use_next_provider(now)
        return self._finish(Status.FAILED) if job.rounds >= policy.max_rounds else replace(self, retry_at=next_round_at)

    def _use_next_provider(self, now: datetime) -> Self:
        """Use the next candidate; finish without one."""
        return replace(self, candidates=self.candidates[1:])._start_provider(now)

    def _finish(self, status: Status, reason: str | None = None) -> Self:
        """Return the final state: SENT if a provider has accepted the notification, else `status`.

        The default reason is the outcome of the last attempt.
        """
        notification = self.job.notification
        if self.job.is_accepted:
            notification = replace(notification, status=Status.SENT)
        else:
            last_outcome = notification.attempts[-1].outcome if notification.attempts else "NO_DEVICE"
            notification = replace(notification, status=status, reason=reason or last_outcome)
        return replace(self, job=replace(self.job, notification=notification))


def _find_rejection_reason(job: DeliveryJob, agent: Agent, user: User | None) -> str | None:
    if not agent.enabled:
        return "AGENT_DISABLED"
    if job.mail is not None:
        return None
    if user is None:
        return "USER_UNKNOWN"
    return "USER_GONE" if user.is_deleted else None


def _compute_retry_delay(
    rounds: int, policy: RetryPolicy, responses: Iterable[ProviderResponse], jitter: float
) -> timedelta:
    """Return the time until the next round: exponential backoff with jitter, at least the longest Retry-After."""
    delay_s = backoff.compute_exponential_delay_s(rounds, policy.initial_delay_s, policy.max_delay_s)
    retry_after = (response.retry_after or timedelta(0) for response in responses)
    return max([timedelta(seconds=backoff.apply_jitter(delay_s, jitter)), *retry_after])
