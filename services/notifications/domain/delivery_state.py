"""Delivery state machine of a notification: retry, fall back to the next provider, or finish."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from services.notifications.domain.notifications import (
    FINAL_OUTCOMES,
    Attempt,
    Mail,
    Notification,
    Outcome,
    Provider,
    ProviderResponse,
    Status,
)
from services.runtime.core import backoff


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


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """Notification in delivery.

    `provider` is the current provider, used since `provider_started_at` for `rounds` rounds. `final_addresses` are its
    addresses with a final response. `has_unclear_response` is set once one of its responses was UNCLEAR.
    `is_accepted` is set once any provider has accepted the notification. `lease_expires_at` identifies the worker's
    lease on the job.
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

    @property
    def id(self) -> str:
        """Return the id of the notification."""
        return self.notification.id


class NextStep(Enum):
    """Next step after a round."""

    RETRY = auto()
    FALL_BACK = auto()
    FINISH = auto()


def start_provider(job: DeliveryJob, provider: Provider, now: datetime) -> DeliveryJob:
    """Return the job with this provider as the current one."""
    if job.provider is provider:
        return job
    return replace(
        job, provider=provider, provider_started_at=now, rounds=0, final_addresses=(), has_unclear_response=False
    )


def apply_responses(job: DeliveryJob, responses: Sequence[tuple[str, ProviderResponse]], now: datetime) -> DeliveryJob:
    """Return the job after a round with these responses by address."""
    if job.provider is None:
        raise ValueError("the job has no current provider")
    outcomes = {response.outcome for _, response in responses}
    accepted = Outcome.ACCEPTED in outcomes
    new_attempts = tuple(Attempt(job.provider, now, response.code) for _, response in responses)
    notification = job.notification
    return replace(
        job,
        notification=replace(
            notification,
            attempts=notification.attempts + new_attempts,
            sent_at=notification.sent_at or (now if accepted else None),
        ),
        rounds=job.rounds + 1,
        final_addresses=job.final_addresses
        + tuple(address for address, response in responses if response.outcome in FINAL_OUTCOMES),
        is_accepted=job.is_accepted or accepted,
        has_unclear_response=job.has_unclear_response or Outcome.UNCLEAR in outcomes,
    )


def decide_next_step(
    job: DeliveryJob,
    policy: RetryPolicy,
    *,
    has_pending: bool,
    has_fallback: bool,
    next_round_at: datetime,
    now: datetime,
) -> NextStep:
    """Return the next step after a round.

    `has_pending` is set if an address has no final response, `has_fallback` if there is another provider. Falls back
    only if the current provider has definitely not delivered the notification.
    """
    if not has_pending:
        return NextStep.FINISH if job.is_accepted else NextStep.FALL_BACK
    fallback_is_due = now - (job.provider_started_at or now) >= timedelta(seconds=policy.fallback_after_s)
    expires_before_next_round = next_round_at >= job.expires_at
    if job.is_accepted and (fallback_is_due or expires_before_next_round):
        return NextStep.FINISH
    if not job.has_unclear_response and has_fallback and (fallback_is_due or expires_before_next_round):
        return NextStep.FALL_BACK
    return NextStep.FINISH if job.rounds >= policy.max_rounds else NextStep.RETRY


def compute_retry_delay(rounds: int, policy: RetryPolicy, retry_after: timedelta | None, jitter: float) -> timedelta:
    """Return the time until the next round: exponential backoff with jitter, at least `retry_after`.

    `jitter` is that of `backoff.apply_jitter`.
    """
    delay_s = backoff.compute_exponential_delay_s(rounds, policy.initial_delay_s, policy.max_delay_s)
    return max(timedelta(seconds=backoff.apply_jitter(delay_s, jitter)), retry_after or timedelta(0))


def finish(job: DeliveryJob, reason: str) -> Notification:
    """Return the finished notification: SENT if a provider has accepted it, else FAILED with `reason`."""
    if job.is_accepted:
        return replace(job.notification, status=Status.SENT)
    return replace(job.notification, status=Status.FAILED, reason=reason)


def expire(job: DeliveryJob) -> Notification:
    """Return the notification after its expiry: SENT if a provider has accepted it, else EXPIRED."""
    if job.is_accepted:
        return replace(job.notification, status=Status.SENT)
    return replace(job.notification, status=Status.EXPIRED, reason="EXPIRED")
