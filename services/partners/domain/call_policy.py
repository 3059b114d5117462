"""Retry policy of calls to partner systems (webhooks): state machine, schedule and circuit breaker policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from services.runtime.concurrency.circuit_breaker import CircuitBreaker, CircuitBreakerPolicy
from services.runtime.core import backoff

MAX_RETRY_AFTER = timedelta(days=1)
"""Upper bound of the Retry-After delay that is honoured."""

MAX_STORED_ATTEMPTS = 50
"""Number of attempts stored with a call, the latest ones."""

CIRCUIT_BREAKER_POLICY = CircuitBreakerPolicy(
    failure_threshold=5,
    open_duration=timedelta(seconds=30),
    max_open_duration=timedelta(minutes=5),
    counts_results_while_open=True,
)
"""Policy of a partner's circuit breaker. Results count while it is open, since the last attempt is made regardless."""


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


class CallFilter(NamedTuple):
    """Filter of a list of calls; None matches every value."""

    partner_id: int | None = None
    order_id: str | None = None
    state: CallState | None = None


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


def compute_next_delay(
    retry_delays_s: Sequence[float], attempts: int, retry_after: timedelta | None, jitter: float = 0.5
) -> timedelta | None:
    """Return the delay after that many attempts, at least the partner's Retry-After; None after the last attempt.

    `jitter` is that of `backoff.apply_jitter`; 0.5 is the delay of the schedule.
    """
    if attempts >= len(retry_delays_s):
        return None
    delay = timedelta(seconds=backoff.apply_jitter(retry_delays_s[attempts], jitter))
    return max(delay, min(retry_after or timedelta(0), MAX_RETRY_AFTER))


def create_attempt(response: PartnerResponse, at: datetime, duration: timedelta) -> Attempt:
    """Return the attempt that ended with a response."""
    return Attempt(at, response.summary, round(duration / timedelta(milliseconds=1)))


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
    attempt = create_attempt(response, now, duration)
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
    delay = compute_next_delay(retry_delays_s, call.attempts, response.retry_after, jitter)
    if delay is None or response.outcome in (Outcome.REJECTED, Outcome.GONE):
        return replace(call, state=CallState.FAILED)
    return replace(call, next_at=now + delay)


def reset_for_replay(call: Call, now: datetime) -> Call:
    """Return the call due now, with the whole retry schedule ahead; a leased call is returned unchanged."""
    if call.leased_until is not None and call.leased_until > now:
        return call
    return replace(call, state=CallState.WAITING, attempts=0, next_at=now, leased_until=None)


def record_result(breaker: CircuitBreaker, outcome: Outcome, now: datetime) -> CircuitBreaker:
    """Return the circuit breaker after a call. A rejection closes it too: the system responded."""
    if outcome is Outcome.BREAKER_OPEN:
        return breaker
    if outcome is Outcome.FAILED:
        return breaker.record_failure(CIRCUIT_BREAKER_POLICY, now)
    return breaker.record_success(CIRCUIT_BREAKER_POLICY, now)
