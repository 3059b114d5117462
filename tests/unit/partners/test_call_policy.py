"""When a partner's system is called again, when a call ends, and when a partner is left alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.partners.domain import call_policy
from services.partners.domain.call_policy import (
    RETRY_DELAYS_S,
    Call,
    CallKind,
    CallState,
    CircuitBreaker,
    Outcome,
    PartnerResponse,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROBE_TIMEOUT = timedelta(seconds=30)
DURATION = timedelta(milliseconds=12)
CALL = Call("e1", 1, "o1", CallKind.ORDER, {}, {}, CallState.WAITING, 1, NOW, NOW, NOW + PROBE_TIMEOUT)

jitters = st.floats(0, 1)
outcomes = st.sampled_from(Outcome)
schedules = st.lists(st.floats(0, 86400), min_size=1, max_size=12)


@given(schedule=schedules, attempts=st.integers(1, 20), asked=st.none() | st.integers(0, 10**7), chance=jitters)
def test_a_call_is_made_again_by_the_schedule_but_not_before_the_partner_asked(
    schedule: list[float], attempts: int, asked: int | None, chance: float
) -> None:
    retry_after = None if asked is None else timedelta(seconds=asked)
    wait = call_policy.next_delay(schedule, attempts, retry_after, chance)
    if attempts >= len(schedule):
        assert wait is None
        return
    assert wait is not None
    heeded = min(retry_after or timedelta(0), timedelta(days=1))
    assert wait >= heeded
    slack = timedelta(microseconds=1)
    assert wait >= timedelta(seconds=schedule[attempts] * 0.8) - slack
    assert wait <= max(heeded, timedelta(seconds=schedule[attempts] * 1.2) + slack)


def test_the_schedule_is_the_contracts() -> None:
    assert RETRY_DELAYS_S[:6] == (0, 5, 60, 300, 1800, 7200)
    assert list(RETRY_DELAYS_S) == sorted(RETRY_DELAYS_S)


@given(answers=st.lists(st.tuples(outcomes, st.none() | st.integers(0, 100)), max_size=20), schedule=schedules)
def test_every_call_ends_by_its_last_try(answers: list[tuple[Outcome, int | None]], schedule: list[float]) -> None:
    call, made = replace(CALL, attempts=0), 0
    for verdict, asked in answers:
        if call.state is not CallState.WAITING:
            break
        call, made = replace(call, attempts=call.attempts + 1), made + 1
        retry_after = None if asked is None else timedelta(seconds=asked)
        before = call
        call = call_policy.apply_attempt(
            call, call.attempts, PartnerResponse(verdict, "x", retry_after), NOW, DURATION, schedule, 0.5
        )
        assert call.leased_until is None
        assert len(call.tries) == min(made, call_policy.MAX_STORED_ATTEMPTS)
        if verdict is Outcome.ACCEPTED:
            assert call.state is CallState.DELIVERED
        elif verdict in (Outcome.REJECTED, Outcome.GONE) or before.attempts >= len(schedule):
            assert call.state is CallState.FAILED
        else:
            assert call.state is CallState.WAITING
            assert call.next_at >= NOW + (retry_after or timedelta(0))
    assert made <= len(schedule)


@given(state=st.sampled_from([CallState.WITHDRAWN, CallState.DELIVERED, CallState.FAILED]), verdict=outcomes)
def test_an_answer_does_not_bring_back_a_call_that_has_ended(state: CallState, verdict: Outcome) -> None:
    after = call_policy.apply_attempt(
        replace(CALL, state=state), 1, PartnerResponse(verdict, "x"), NOW, DURATION, RETRY_DELAYS_S, 0.5
    )
    assert (after.state, after.leased_until, len(after.tries)) == (state, None, 1)


@given(verdict=outcomes)
def test_a_late_answer_counts_only_if_it_takes_the_call(verdict: Outcome) -> None:
    ahead = replace(CALL, attempts=2)
    after = call_policy.apply_attempt(ahead, 1, PartnerResponse(verdict, "x"), NOW, DURATION, RETRY_DELAYS_S, 0.5)
    if verdict is Outcome.ACCEPTED:
        assert after.state is CallState.DELIVERED
    else:
        assert replace(after, tries=()) == ahead


def test_a_call_remembers_its_last_tries() -> None:
    call = CALL
    for number in range(call_policy.MAX_STORED_ATTEMPTS + 5):
        call = call_policy.apply_attempt(
            call, 1, PartnerResponse(Outcome.BREAKER_OPEN, str(number)), NOW, DURATION, RETRY_DELAYS_S, 0.5
        )
    assert [one.answer for one in call.tries] == [
        str(number) for number in range(5, call_policy.MAX_STORED_ATTEMPTS + 5)
    ]


@given(
    state=st.sampled_from(CallState),
    attempts=st.integers(0, 20),
    lease=st.none() | st.timedeltas(timedelta(-60), timedelta(60)),
)
def test_a_replay_begins_the_schedule_again_but_not_beside_a_try(
    state: CallState, attempts: int, lease: timedelta | None
) -> None:
    call = replace(CALL, state=state, attempts=attempts, leased_until=None if lease is None else NOW + lease)
    again = call_policy.reset_for_replay(call, NOW)
    if lease is not None and lease > timedelta(0):
        assert again == call
    else:
        assert again == replace(call, state=CallState.WAITING, attempts=0, next_at=NOW, leased_until=None)


class BreakerMachine(RuleBasedStateMachine):
    """A breaker under any run of answers, with a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.breaker = CircuitBreaker()
        self.failures = 0
        self.failed_at = NOW

    @rule(seconds=st.integers(0, 700))
    def time_goes_by(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(verdict=st.sampled_from([Outcome.ACCEPTED, Outcome.REJECTED, Outcome.GONE]))
    def it_answers(self, verdict: Outcome) -> None:
        self.breaker, self.failures = call_policy.record_result(self.breaker, verdict, self.now), 0

    @rule()
    def it_fails(self) -> None:
        self.breaker = call_policy.record_result(self.breaker, Outcome.FAILED, self.now)
        self.failures, self.failed_at = self.failures + 1, self.now

    @rule()
    def it_is_left_alone(self) -> None:
        assert call_policy.record_result(self.breaker, Outcome.BREAKER_OPEN, self.now) == self.breaker

    @precondition(lambda self: self.failures >= call_policy.FAILURE_THRESHOLD)
    @rule()
    def one_probe_at_a_time(self) -> None:
        probing = call_policy.try_acquire(self.breaker, self.now, PROBE_TIMEOUT)
        if probing is None:
            return
        assert call_policy.try_acquire(probing, self.now, PROBE_TIMEOUT) is None
        assert call_policy.try_acquire(probing, self.now + PROBE_TIMEOUT, PROBE_TIMEOUT) is not None
        self.breaker = probing

    @invariant()
    def it_is_open_after_failures_in_a_row_and_never_for_longer_than_its_bound(self) -> None:
        admitted = call_policy.try_acquire(self.breaker, self.now, PROBE_TIMEOUT)
        if self.failures < call_policy.FAILURE_THRESHOLD:
            assert admitted == self.breaker
        elif self.now < self.failed_at + call_policy.OPEN_DURATION:
            assert admitted is None
        assert (
            call_policy.try_acquire(self.breaker, self.now + call_policy.MAX_OPEN_DURATION, PROBE_TIMEOUT) is not None
        )


TestBreaker = BreakerMachine.TestCase


@pytest.mark.parametrize(("failures", "seconds"), [(5, 30), (6, 60), (7, 120), (8, 240), (9, 300), (5000, 300)])
def test_a_breaker_is_open_for_longer_after_each_probe_that_failed(failures: int, seconds: int) -> None:
    after = call_policy.record_result(CircuitBreaker(failures - 1), Outcome.FAILED, NOW)
    assert after == CircuitBreaker(failures, NOW + timedelta(seconds=seconds))
