"""The rules of calls to partners' systems: when one is made again, when it ends, and when a partner is left alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

RETRY_DELAYS_S = (0.0, 5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Seconds before the first, second, third … try; after the last there is no more. A setting may say otherwise."""

JITTER_RATIO = 0.2
"""How far a pause may be off, so that calls that failed together do not come back together."""

MAX_RETRY_AFTER = timedelta(days=1)
"""As much of a partner's Retry-After as counts: nobody's order waits for longer."""

MAX_STORED_ATTEMPTS = 50
"""How many tries a call remembers."""

FAILURE_THRESHOLD = 5
"""Failures in a row that open a partner's breaker."""

OPEN_DURATION = timedelta(seconds=30)
"""How long a breaker is open at first; twice as long after each probe that failed."""

MAX_OPEN_DURATION = timedelta(minutes=5)


class CallKind(StrEnum):
    """What a partner is told."""

    ORDER = "order"
    CANCELLATION = "cancellation"


class CallState(StrEnum):
    """Where a call stands. Only a replay leads out of the last three."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one try."""

    at: datetime
    answer: str
    took_ms: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a partner's system. `id` is its webhook id, the same at every try; `attempts` counts those begun."""

    id: str
    partner_id: int
    order_id: str
    kind: CallKind
    payload: Mapping[str, Any]
    trace: Mapping[str, str]
    state: CallState
    attempts: int
    next_at: datetime
    created_at: datetime
    leased_until: datetime | None = None
    """Until when the worker that has begun a try is waited for."""
    tries: tuple[Attempt, ...] = ()


class Outcome(StrEnum):
    """What an answer means."""

    ACCEPTED = "taken"
    REJECTED = "refused"
    GONE = "gone"
    FAILED = "failed"
    BREAKER_OPEN = "left alone"
    """Nothing was sent, because the breaker is open."""


@dataclass(frozen=True, slots=True)
class PartnerResponse:
    """What a partner's system said, in words for those who look, and when it wants to be asked again."""

    outcome: Outcome
    summary: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """How a partner's system did of late. Closed below the threshold; else open until that time, then for one probe."""

    failures: int = 0
    open_until: datetime | None = None


def next_delay(
    retry_delays_s: Sequence[float], attempts: int, retry_after: timedelta | None, jitter: float = 0.5
) -> timedelta | None:
    """How long to wait after so many tries, at least as long as the partner asked; None when it was the last.

    `chance`, from 0 to 1, says where in the jitter the pause falls; at 0.5 it is the schedule's own.
    """
    if attempts >= len(retry_delays_s):
        return None
    planned = timedelta(seconds=retry_delays_s[attempts] * (1 + JITTER_RATIO * (2 * jitter - 1)))
    return max(planned, min(retry_after or timedelta(0), MAX_RETRY_AFTER))


def apply_attempt(
    call: Call,
    attempt_number: int,
    response: PartnerResponse,
    now: datetime,
    duration: timedelta,
    retry_delays_s: Sequence[float],
    jitter: float,
) -> Call:
    """The call once a try has been answered. `call` is as it stands now, which may be ahead of that try.

    A late answer to an attempt that another worker has overtaken counts only if it takes the call; a call that was
    withdrawn meanwhile stays so.
    """
    overtaken = attempt_number != call.attempts
    tried = Attempt(now, response.summary, round(duration / timedelta(milliseconds=1)))
    call = replace(
        call,
        tries=(*call.tries, tried)[-MAX_STORED_ATTEMPTS:],
        leased_until=call.leased_until if overtaken else None,
    )
    if call.state is not CallState.WAITING:
        return call
    if response.outcome is Outcome.ACCEPTED:
        return replace(call, state=CallState.DELIVERED, leased_until=None)
    if overtaken:
        return call
    wait = next_delay(retry_delays_s, call.attempts, response.retry_after, jitter)
    if wait is None or response.outcome in (Outcome.REJECTED, Outcome.GONE):
        return replace(call, state=CallState.FAILED)
    return replace(call, next_at=now + wait)


def reset_for_replay(call: Call, now: datetime) -> Call:
    """The call, due now and with every try of the schedule before it; one that is under way is left to its worker."""
    if call.leased_until is not None and call.leased_until > now:
        return call
    return replace(call, state=CallState.WAITING, attempts=0, next_at=now, leased_until=None)


def try_acquire(breaker: CircuitBreaker, now: datetime, probe_timeout: timedelta) -> CircuitBreaker | None:
    """The breaker while a call is under way, or None when the partner is left alone.

    One call at a time probes a breaker whose time is over; the others are left alone until it is answered, or for
    `patience` if that never happens.
    """
    if breaker.failures < FAILURE_THRESHOLD or breaker.open_until is None:
        return breaker
    return None if now < breaker.open_until else replace(breaker, open_until=now + probe_timeout)


def record_result(breaker: CircuitBreaker, outcome: Outcome, now: datetime) -> CircuitBreaker:
    """The breaker once a call has been answered; an answer that refuses is a sign of life, too."""
    if outcome is Outcome.BREAKER_OPEN:
        return breaker
    if outcome is not Outcome.FAILED:
        return CircuitBreaker()
    failures = breaker.failures + 1
    if failures < FAILURE_THRESHOLD:
        return CircuitBreaker(failures)
    return CircuitBreaker(
        failures, now + min(OPEN_DURATION * 2 ** min(failures - FAILURE_THRESHOLD, 10), MAX_OPEN_DURATION)
    )
