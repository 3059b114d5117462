"""How a notification goes on: again, to the next provider, or to its end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from services.notifications.domain.notifications import (
    Attempt,
    Mail,
    Notification,
    Outcome,
    Provider,
    ProviderResponse,
    Status,
)

FINAL_OUTCOMES = (Outcome.ACCEPTED, Outcome.REJECTED)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a provider is asked again. Seconds, but for `rounds`, which bounds the rounds at one provider."""

    initial_delay_s: float = 1.0
    max_delay_s: float = 300.0
    fallback_after_s: float = 30.0
    max_rounds: int = 40


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """A notification on its way.

    `provider` is asked since `since`, in `rounds` so far. `settled` are the addresses there that have answered for
    good, and `unclear` says that one of the others may have taken it. By `claim` a worker holds the job.
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
        """The notification's."""
        return self.notification.id


class NextStep(Enum):
    """What is to be done after a round."""

    RETRY = auto()
    FALL_BACK = auto()
    FINISH = auto()


def start_provider(job: DeliveryJob, provider: Provider, now: datetime) -> DeliveryJob:
    """The job, with this provider as the one that is asked."""
    if job.provider is provider:
        return job
    return replace(
        job, provider=provider, provider_started_at=now, rounds=0, final_addresses=(), has_unclear_response=False
    )


def apply_responses(job: DeliveryJob, responses: Sequence[tuple[str, ProviderResponse]], now: datetime) -> DeliveryJob:
    """The job after each address has answered."""
    if job.provider is None:
        raise ValueError("nobody was asked")
    verdicts = {answer.outcome for _, answer in responses}
    accepted = Outcome.ACCEPTED in verdicts
    tried = tuple(Attempt(job.provider, now, answer.code) for _, answer in responses)
    notification = job.notification
    return replace(
        job,
        notification=replace(
            notification,
            attempts=notification.attempts + tried,
            sent_at=notification.sent_at or (now if accepted else None),
        ),
        rounds=job.rounds + 1,
        final_addresses=job.final_addresses
        + tuple(address for address, answer in responses if answer.outcome in FINAL_OUTCOMES),
        is_accepted=job.is_accepted or accepted,
        has_unclear_response=job.has_unclear_response or Outcome.UNCLEAR in verdicts,
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
    """What comes next. `pending`: an address has not answered for good; `others`: another provider could be asked.

    Another provider is asked only if this one has definitely not taken it.
    """
    if not has_pending:
        return NextStep.FINISH if job.is_accepted else NextStep.FALL_BACK
    waited = now - (job.provider_started_at or now) >= timedelta(seconds=policy.fallback_after_s)
    hopeless = next_round_at >= job.expires_at
    if job.is_accepted and (waited or hopeless):
        return NextStep.FINISH
    if not job.has_unclear_response and has_fallback and (waited or hopeless):
        return NextStep.FALL_BACK
    return NextStep.FINISH if job.rounds >= policy.max_rounds else NextStep.RETRY


def compute_retry_delay(rounds: int, policy: RetryPolicy, retry_after: float | None, jitter: float) -> float:
    """Seconds until the next round: doubling, spread by up to a quarter, and at least what the provider asked for."""
    wait = min(policy.max_delay_s, policy.initial_delay_s * 2.0 ** min(rounds - 1, 30)) * (1 + jitter / 4)
    return max(wait, retry_after or 0.0)


def finish(job: DeliveryJob, reason: str) -> Notification:
    """The notification at its end; `reason` says why, if nobody has accepted it."""
    if job.is_accepted:
        return replace(job.notification, status=Status.SENT)
    return replace(job.notification, status=Status.FAILED, reason=reason)


def expire(job: DeliveryJob) -> Notification:
    """The notification when it is worth nothing any more."""
    if job.is_accepted:
        return replace(job.notification, status=Status.SENT)
    return replace(job.notification, status=Status.EXPIRED, reason="EXPIRED")
