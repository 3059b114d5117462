"""The rules of calls to partners' systems: when one is made again, when it ends, and when a partner is left alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

SCHEDULE = (0.0, 5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Seconds before the first, second, third … try; after the last there is no more. A setting may say otherwise."""

JITTER = 0.2
"""How far a pause may be off, so that calls that failed together do not come back together."""

HEEDED = timedelta(days=1)
"""As much of a partner's Retry-After as counts: nobody's order waits for longer."""

TRIES_KEPT = 50
"""How many tries a call remembers."""

THRESHOLD = 5
"""Failures in a row that open a partner's breaker."""

OPEN = timedelta(seconds=30)
"""How long a breaker is open at first; twice as long after each probe that failed."""

OPEN_AT_MOST = timedelta(minutes=5)


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
class Try:
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
    tries: tuple[Try, ...] = ()


class Verdict(StrEnum):
    """What an answer means."""

    TAKEN = "taken"
    REFUSED = "refused"
    GONE = "gone"
    FAILED = "failed"
    LEFT_ALONE = "left alone"
    """Nothing was sent, because the breaker is open."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a partner's system said, in words for those who look, and when it wants to be asked again."""

    verdict: Verdict
    words: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """How a partner's system did of late. Closed below the threshold; else open until that time, then for one probe."""

    failures: int = 0
    open_until: datetime | None = None


def pause(
    schedule: Sequence[float], attempts: int, retry_after: timedelta | None, chance: float = 0.5
) -> timedelta | None:
    """How long to wait after so many tries, at least as long as the partner asked; None when it was the last.

    `chance`, from 0 to 1, says where in the jitter the pause falls; at 0.5 it is the schedule's own.
    """
    if attempts >= len(schedule):
        return None
    planned = timedelta(seconds=schedule[attempts] * (1 + JITTER * (2 * chance - 1)))
    return max(planned, min(retry_after or timedelta(0), HEEDED))


def after_try(
    call: Call, attempt: int, answer: Answer, now: datetime, took: timedelta, schedule: Sequence[float], chance: float
) -> Call:
    """The call once a try has been answered. `call` is as it stands now, which may be ahead of that try.

    A late answer to an attempt that another worker has overtaken counts only if it takes the call; a call that was
    withdrawn meanwhile stays so.
    """
    overtaken = attempt != call.attempts
    tried = Try(now, answer.words, round(took / timedelta(milliseconds=1)))
    call = replace(
        call,
        tries=(*call.tries, tried)[-TRIES_KEPT:],
        leased_until=call.leased_until if overtaken else None,
    )
    if call.state is not CallState.WAITING:
        return call
    if answer.verdict is Verdict.TAKEN:
        return replace(call, state=CallState.DELIVERED, leased_until=None)
    if overtaken:
        return call
    wait = pause(schedule, call.attempts, answer.retry_after, chance)
    if wait is None or answer.verdict in (Verdict.REFUSED, Verdict.GONE):
        return replace(call, state=CallState.FAILED)
    return replace(call, next_at=now + wait)


def replayed(call: Call, now: datetime) -> Call:
    """The call, due now and with every try of the schedule before it; one that is under way is left to its worker."""
    if call.leased_until is not None and call.leased_until > now:
        return call
    return replace(call, state=CallState.WAITING, attempts=0, next_at=now, leased_until=None)


def admit(breaker: Breaker, now: datetime, patience: timedelta) -> Breaker | None:
    """The breaker while a call is under way, or None when the partner is left alone.

    One call at a time probes a breaker whose time is over; the others are left alone until it is answered, or for
    `patience` if that never happens.
    """
    if breaker.failures < THRESHOLD or breaker.open_until is None:
        return breaker
    return None if now < breaker.open_until else replace(breaker, open_until=now + patience)


def after_answer(breaker: Breaker, verdict: Verdict, now: datetime) -> Breaker:
    """The breaker once a call has been answered; an answer that refuses is a sign of life, too."""
    if verdict is Verdict.LEFT_ALONE:
        return breaker
    if verdict is not Verdict.FAILED:
        return Breaker()
    failures = breaker.failures + 1
    if failures < THRESHOLD:
        return Breaker(failures)
    return Breaker(failures, now + min(OPEN * 2 ** min(failures - THRESHOLD, 10), OPEN_AT_MOST))
