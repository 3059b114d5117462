"""Call policy: retry schedule, call state machine, replay and circuit breaker policy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.partners.domain import call_policy
from services.partners.domain.call_policy import (
    Call,
    CallKind,
    CallState,
    Outcome,
    PartnerResponse,
)
from services.partners.settings import DEFAULT_RETRY_DELAYS_S
from services.runtime.concurrency.circuit_breaker import CircuitBreaker, CircuitBreakerState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROBE_TIMEOUT = timedelta(seconds=30)
DURATION = timedelta(milliseconds=12)
CALL = Call("e1", 1, "o1", CallKind.ORDER, {}, {}, CallState.WAITING, 1, NOW, NOW, NOW + PROBE_TIMEOUT)

jitters = st.floats(0, 1)
outcomes = st.sampled_from(Outcome)
schedules = st.lists(st.floats(0, 86400), min_size=1, max_size=12)


@given(schedule=schedules, attempts=st.integers(1, 20), retry_after_s=st.none() | st.integers(0, 10**7), jitter=jitters)
def test_retry_delay_honours_schedule_and_retry_after(
    schedule: list[float], attempts: int, retry_after_s: int | None, jitter: float
) -> None:
    retry_after = None if retry_after_s is None else timedelta(seconds=retry_after_s)
    delay = call_policy.compute_next_delay(schedule, attempts, retry_after, jitter)
    if attempts >= len(schedule):
        assert delay is None
        return
    assert delay is not None
    min_delay = min(retry_after or timedelta(0), timedelta(days=1))
    assert delay >= min_delay
    slack = timedelta(microseconds=1)
    assert delay >= timedelta(seconds=schedule[attempts] * 0.8) - slack
    assert delay <= max(min_delay, timedelta(seconds=schedule[attempts] * 1.2) + slack)


def test_default_retry_delays_match_contract() -> None:
    assert DEFAULT_RETRY_DELAYS_S[:6] == (0, 5, 60, 300, 1800, 7200)
    assert list(DEFAULT_RETRY_DELAYS_S) == sorted(DEFAULT_RETRY_DELAYS_S)


@given(responses=st.lists(st.tuples(outcomes, st.none() | st.integers(0, 100)), max_size=20), schedule=schedules)
def test_call_finishes_by_last_attempt(responses: list[tuple[Outcome, int | None]], schedule: list[float]) -> None:
    call, attempts_made = replace(CALL, attempts=0), 0
    for outcome, retry_after_s in responses:
        if call.state is not CallState.WAITING:
            break
        call, attempts_made = replace(call, attempts=call.attempts + 1), attempts_made + 1
        retry_after = None if retry_after_s is None else timedelta(seconds=retry_after_s)
        before = call
        call = call_policy.apply_attempt(
            call, call.attempts, PartnerResponse(outcome, "x", retry_after), NOW, DURATION, schedule, 0.5
        )
        assert call.leased_until is None
        assert len(call.tries) == min(attempts_made, call_policy.MAX_STORED_ATTEMPTS)
        if outcome is Outcome.ACCEPTED:
            assert call.state is CallState.DELIVERED
        elif outcome in (Outcome.REJECTED, Outcome.GONE) or before.attempts >= len(schedule):
            assert call.state is CallState.FAILED
        else:
            assert call.state is CallState.WAITING
            assert call.next_at >= NOW + (retry_after or timedelta(0))
    assert attempts_made <= len(schedule)


@given(state=st.sampled_from([CallState.WITHDRAWN, CallState.DELIVERED, CallState.FAILED]), outcome=outcomes)
def test_response_does_not_change_state_of_finished_call(state: CallState, outcome: Outcome) -> None:
    after = call_policy.apply_attempt(
        replace(CALL, state=state), 1, PartnerResponse(outcome, "x"), NOW, DURATION, DEFAULT_RETRY_DELAYS_S, 0.5
    )
    assert (after.state, after.leased_until, len(after.tries)) == (state, None, 1)


@given(outcome=outcomes)
def test_late_response_counts_only_if_accepted(outcome: Outcome) -> None:
    later_attempt = replace(CALL, attempts=2)
    after = call_policy.apply_attempt(
        later_attempt, 1, PartnerResponse(outcome, "x"), NOW, DURATION, DEFAULT_RETRY_DELAYS_S, 0.5
    )
    if outcome is Outcome.ACCEPTED:
        assert after.state is CallState.DELIVERED
    else:
        assert replace(after, tries=()) == later_attempt


def test_call_stores_last_attempts() -> None:
    call = CALL
    for number in range(call_policy.MAX_STORED_ATTEMPTS + 5):
        call = call_policy.apply_attempt(
            call, 1, PartnerResponse(Outcome.BREAKER_OPEN, str(number)), NOW, DURATION, DEFAULT_RETRY_DELAYS_S, 0.5
        )
    assert [attempt.answer for attempt in call.tries] == [
        str(number) for number in range(5, call_policy.MAX_STORED_ATTEMPTS + 5)
    ]


@given(
    state=st.sampled_from(CallState),
    attempts=st.integers(0, 20),
    lease=st.none() | st.timedeltas(timedelta(-60), timedelta(60)),
)
def test_replay_resets_schedule_unless_leased(state: CallState, attempts: int, lease: timedelta | None) -> None:
    call = replace(CALL, state=state, attempts=attempts, leased_until=None if lease is None else NOW + lease)
    replayed = call_policy.reset_for_replay(call, NOW)
    if lease is not None and lease > timedelta(0):
        assert replayed == call
    else:
        assert replayed == replace(call, state=CallState.WAITING, attempts=0, next_at=NOW, leased_until=None)


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.GONE])
def test_response_closes_circuit_breaker(outcome: Outcome) -> None:
    breaker = CircuitBreaker(7, NOW + timedelta(seconds=1))
    assert call_policy.record_result(breaker, outcome, NOW) == CircuitBreaker()


def test_blocked_call_leaves_circuit_breaker_unchanged() -> None:
    breaker = CircuitBreaker(7, NOW + timedelta(seconds=1))
    assert call_policy.record_result(breaker, Outcome.BREAKER_OPEN, NOW) is breaker


def test_fifth_consecutive_failure_opens_circuit_breaker() -> None:
    breaker = CircuitBreaker()
    for _ in range(5):
        assert breaker.get_state(call_policy.CIRCUIT_BREAKER_POLICY, NOW) is CircuitBreakerState.CLOSED
        breaker = call_policy.record_result(breaker, Outcome.FAILED, NOW)
    assert breaker.get_state(call_policy.CIRCUIT_BREAKER_POLICY, NOW) is CircuitBreakerState.OPEN


def test_failed_last_attempt_while_open_extends_open_period() -> None:
    breaker = CircuitBreaker(5, NOW + timedelta(seconds=1))
    assert call_policy.record_result(breaker, Outcome.FAILED, NOW) == CircuitBreaker(6, NOW + timedelta(minutes=1))


@pytest.mark.parametrize(("failures", "seconds"), [(5, 30), (6, 60), (7, 120), (8, 240), (9, 300), (5000, 300)])
def test_open_duration_doubles_after_each_failed_probe(failures: int, seconds: int) -> None:
    after = call_policy.record_result(CircuitBreaker(failures - 1), Outcome.FAILED, NOW)
    assert after == CircuitBreaker(failures, NOW + timedelta(seconds=seconds))
