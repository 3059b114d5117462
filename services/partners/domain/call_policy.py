"""Rules of calls to partner systems: state machine, retry schedule and circuit breaker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

JITTER_RATIO = 0.2
"""Jitter, as a share of the delay: calls that failed together are not retried together."""

MAX_RETRY_AFTER = timedelta(days=1)
"""Upper bound of the Retry-After delay that is honoured."""

MAX_STORED_ATTEMPTS = 50
"""Number of attempts stored with a call, the latest ones."""

FAILURE_THRESHOLD = 5
"""Consecutive failures that open a partner's circuit breaker."""

OPEN_DURATION = timedelta(seconds=30)
"""Time for which a circuit breaker opens at first; doubled after each failed probe."""

MAX_OPEN_DURATION = timedelta(minutes=5)


class CallKind(StrEnum):
    """Kind of message that a call sends to the partner."""

    ORDER = "order"
    CANCELLATION = "cancellation"


class CallState(StrEnum):
    """State of a call. The last three are final, except that a replay returns a call to `waiting`."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Result of one attempt, as stored and as shown to admins."""

    at: datetime
    answer: str
    took_ms: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a partner system.

    `id` is the webhook id of every attempt; `attempts` counts the attempts that have begun since the call was planned
    or replayed.
    """

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
    """End of the lease of the worker that makes the current attempt."""
    tries: tuple[Attempt, ...] = ()


class Outcome(StrEnum):
    """Classification of a partner system's response."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    GONE = "gone"
    """410: the partner system has been shut down permanently."""
    FAILED = "failed"
    BREAKER_OPEN = "breaker_open"
    """No request was sent, because the circuit breaker is open."""


@dataclass(frozen=True, slots=True)
class PartnerResponse:
    """Outcome of an attempt, with a summary for admins and the delay from Retry-After."""

    outcome: Outcome
    summary: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Circuit breaker of a partner system.

    Closed below the failure threshold. From there on it is open until `open_until`, and half-open afterwards.
    """

    failures: int = 0
    open_until: datetime | None = None


def next_delay(
    retry_delays_s: Sequence[float], attempts: int, retry_after: timedelta | None, jitter: float = 0.5
) -> timedelta | None:
    """Return the delay after that many attempts, at least the partner's Retry-After; None after the last attempt.

    `jitter`, from 0 to 1, selects the delay within the jitter range; 0.5 is the delay of the schedule.
    """
    if attempts >= len(retry_delays_s):
        return None
    delay = timedelta(seconds=retry_delays_s[attempts] * (1 + JITTER_RATIO * (2 * jitter - 1)))
    return max(delay, min(retry_after or timedelta(0), MAX_RETRY_AFTER))


def apply_attempt(
    call: Call,
    attempt_number: int,
    response: PartnerResponse,
    now: datetime,
    duration: timedelta,
    retry_delays_s: Sequence[float],
    jitter: float,
) -> Call:
    """Return the call after an attempt, given its current state, which may already be that of a later attempt.

    A late response to an attempt that was superseded after its lease expired counts only if it accepts the call. A call
    that was withdrawn in the meantime stays withdrawn.
    """
    is_superseded = attempt_number != call.attempts
    attempt = Attempt(now, response.summary, round(duration / timedelta(milliseconds=1)))
    call = replace(
        call,
        tries=(*call.tries, attempt)[-MAX_STORED_ATTEMPTS:],
        leased_until=call.leased_until if is_superseded else None,
    )
    if call.state is not CallState.WAITING:
        return call
    if response.outcome is Outcome.ACCEPTED:
        return replace(call, state=CallState.DELIVERED, leased_until=None)
    if is_superseded:
        return call
    delay = next_delay(retry_delays_s, call.attempts, response.retry_after, jitter)
    if delay is None or response.outcome in (Outcome.REJECTED, Outcome.GONE):
        return replace(call, state=CallState.FAILED)
    return replace(call, next_at=now + delay)


def reset_for_replay(call: Call, now: datetime) -> Call:
    """Return the call due now, with the whole retry schedule ahead; a leased call is returned unchanged."""
    if call.leased_until is not None and call.leased_until > now:
        return call
    return replace(call, state=CallState.WAITING, attempts=0, next_at=now, leased_until=None)


def try_acquire(breaker: CircuitBreaker, now: datetime, probe_timeout: timedelta) -> CircuitBreaker | None:
    """Return the circuit breaker for the duration of a call, or None if it blocks the call.

    A half-open circuit breaker admits one probe at a time. It blocks all other calls until the probe has finished, or
    for `probe_timeout` if its result is never recorded.
    """
    if breaker.failures < FAILURE_THRESHOLD or breaker.open_until is None:
        return breaker
    return None if now < breaker.open_until else replace(breaker, open_until=now + probe_timeout)


def record_result(breaker: CircuitBreaker, outcome: Outcome, now: datetime) -> CircuitBreaker:
    """Return the circuit breaker after a call. A rejection closes it too: the system responded."""
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
