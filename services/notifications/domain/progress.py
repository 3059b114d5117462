"""How a notification goes on: again, to the next provider, or to its end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from services.notifications.domain.notifications import Answer, Attempt, Mail, Notification, Provider, Status, Verdict

FINAL = (Verdict.ACCEPTED, Verdict.REFUSED)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a provider is asked again. Seconds, but for `rounds`, which bounds the rounds at one provider."""

    first_s: float = 1.0
    longest_s: float = 300.0
    fallback_s: float = 30.0
    rounds: int = 40


@dataclass(frozen=True, slots=True)
class Job:
    """A notification on its way.

    `provider` is asked since `since`, in `rounds` so far. `settled` are the addresses there that have answered for
    good, and `unclear` says that one of the others may have taken it. By `claim` a worker holds the job.
    """

    notification: Notification
    priority: int
    expires_at: datetime
    mail: Mail | None = None
    provider: Provider | None = None
    since: datetime | None = None
    rounds: int = 0
    settled: tuple[str, ...] = ()
    accepted: bool = False
    unclear: bool = False
    claim: datetime | None = None
    trace: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """The notification's."""
        return self.notification.id


class Next(Enum):
    """What is to be done after a round."""

    AGAIN = auto()
    OTHER = auto()
    END = auto()


def asking(job: Job, provider: Provider, now: datetime) -> Job:
    """The job, with this provider as the one that is asked."""
    if job.provider is provider:
        return job
    return replace(job, provider=provider, since=now, rounds=0, settled=(), unclear=False)


def after_round(job: Job, answers: Sequence[tuple[str, Answer]], now: datetime) -> Job:
    """The job after each address has answered."""
    if job.provider is None:
        raise ValueError("nobody was asked")
    verdicts = {answer.verdict for _, answer in answers}
    accepted = Verdict.ACCEPTED in verdicts
    tried = tuple(Attempt(job.provider, now, answer.word) for _, answer in answers)
    notification = job.notification
    return replace(
        job,
        notification=replace(
            notification,
            attempts=notification.attempts + tried,
            sent_at=notification.sent_at or (now if accepted else None),
        ),
        rounds=job.rounds + 1,
        settled=job.settled + tuple(address for address, answer in answers if answer.verdict in FINAL),
        accepted=job.accepted or accepted,
        unclear=job.unclear or Verdict.UNCLEAR in verdicts,
    )


def decide(job: Job, patience: Patience, *, pending: bool, others: bool, due: datetime, now: datetime) -> Next:
    """What comes next. `pending`: an address has not answered for good; `others`: another provider could be asked.

    Another provider is asked only if this one has definitely not taken it.
    """
    if not pending:
        return Next.END if job.accepted else Next.OTHER
    waited = now - (job.since or now) >= timedelta(seconds=patience.fallback_s)
    hopeless = due >= job.expires_at
    if job.accepted and (waited or hopeless):
        return Next.END
    if not job.unclear and others and (waited or hopeless):
        return Next.OTHER
    return Next.END if job.rounds >= patience.rounds else Next.AGAIN


def pause(rounds: int, patience: Patience, asked: float | None, spread: float) -> float:
    """Seconds until the next round: doubling, spread by up to a quarter, and at least what the provider asked for."""
    wait = min(patience.longest_s, patience.first_s * 2.0 ** min(rounds - 1, 30)) * (1 + spread / 4)
    return max(wait, asked or 0.0)


def ended(job: Job, reason: str) -> Notification:
    """The notification at its end; `reason` says why, if nobody has accepted it."""
    if job.accepted:
        return replace(job.notification, status=Status.SENT)
    return replace(job.notification, status=Status.FAILED, reason=reason)


def expired(job: Job) -> Notification:
    """The notification when it is worth nothing any more."""
    if job.accepted:
        return replace(job.notification, status=Status.SENT)
    return replace(job.notification, status=Status.EXPIRED, reason="EXPIRED")
