"""Circuit breaker: state transitions, open durations, probes and Retry-After, under both policies."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.runtime.concurrency.circuit_breaker import CircuitBreaker, CircuitBreakerPolicy, CircuitBreakerState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PROBE_TIMEOUT = timedelta(seconds=15)
THRESHOLD = 5
POLICY = CircuitBreakerPolicy(THRESHOLD, 30 * SECOND, 300 * SECOND, 60 * SECOND)
CLOSED = CircuitBreaker()
COUNTING_POLICY = replace(POLICY, counts_results_while_open=True)

both_policies = pytest.mark.parametrize("policy", [POLICY, COUNTING_POLICY])


def fail(policy: CircuitBreakerPolicy, times: int, breaker: CircuitBreaker = CLOSED) -> CircuitBreaker:
    for _ in range(times):
        breaker = breaker.record_failure(policy, NOW)
    return breaker


@both_policies
def test_breaker_opens_at_threshold_then_permits_one_probe(policy: CircuitBreakerPolicy) -> None:
    closed = fail(policy, THRESHOLD - 1)
    assert closed.get_state(policy, NOW) is CircuitBreakerState.CLOSED
    assert closed.try_acquire(policy, NOW, PROBE_TIMEOUT) is closed
    opened = fail(policy, 1, closed)
    assert opened.get_state(policy, NOW) is CircuitBreakerState.OPEN
    assert opened.try_acquire(policy, NOW + 29 * SECOND, PROBE_TIMEOUT) is None
    assert opened.get_delay(NOW + 29 * SECOND) == SECOND
    half_open_at = NOW + 30 * SECOND
    assert opened.get_state(policy, half_open_at) is CircuitBreakerState.HALF_OPEN
    assert opened.get_delay(half_open_at) == timedelta(0)
    probing = opened.try_acquire(policy, half_open_at, PROBE_TIMEOUT)
    assert probing is not None
    assert probing.get_state(policy, half_open_at) is CircuitBreakerState.HALF_OPEN
    assert probing.try_acquire(policy, half_open_at, PROBE_TIMEOUT) is None
    assert probing.get_delay(half_open_at) == PROBE_TIMEOUT
    assert probing.try_acquire(policy, half_open_at + PROBE_TIMEOUT, PROBE_TIMEOUT) is not None
    assert probing.record_success(policy, half_open_at) == CircuitBreaker()


@both_policies
@pytest.mark.parametrize(("failed_probes", "seconds"), [(0, 30), (1, 60), (2, 120), (3, 240), (4, 300), (2000, 300)])
def test_open_duration_doubles_after_each_failed_probe(
    policy: CircuitBreakerPolicy, failed_probes: int, seconds: int
) -> None:
    breaker, at = fail(policy, THRESHOLD), NOW
    for _ in range(failed_probes):
        at += breaker.get_delay(at)
        probing = breaker.try_acquire(policy, at, PROBE_TIMEOUT)
        assert probing is not None
        breaker = probing.record_failure(policy, at)
    assert breaker.get_delay(at) == timedelta(seconds=seconds)


@both_policies
def test_success_resets_failure_count(policy: CircuitBreakerPolicy) -> None:
    breaker = fail(policy, THRESHOLD - 1).record_success(policy, NOW)
    assert breaker == CircuitBreaker()
    assert fail(policy, THRESHOLD - 1, breaker).try_acquire(policy, NOW, PROBE_TIMEOUT) is not None


@both_policies
def test_retry_after_blocks_calls_below_threshold_up_to_limit(policy: CircuitBreakerPolicy) -> None:
    breaker = CircuitBreaker().record_failure(policy, NOW, 7 * SECOND)
    assert breaker.get_state(policy, NOW) is CircuitBreakerState.OPEN
    assert breaker.get_delay(NOW) == 7 * SECOND
    assert breaker.record_failure(policy, NOW, 3 * SECOND).get_delay(NOW) == 7 * SECOND
    assert breaker.record_failure(policy, NOW, timedelta(days=1)).get_delay(NOW) == policy.max_retry_after
    assert breaker.get_state(policy, NOW + 7 * SECOND) is CircuitBreakerState.CLOSED


@both_policies
def test_longer_of_open_duration_and_retry_after_applies(policy: CircuitBreakerPolicy) -> None:
    almost_open = fail(policy, THRESHOLD - 1)
    assert almost_open.record_failure(policy, NOW, 7 * SECOND).get_delay(NOW) == 30 * SECOND
    assert almost_open.record_failure(policy, NOW, 50 * SECOND).get_delay(NOW) == 50 * SECOND


def test_results_in_flight_leave_end_of_open_period_unchanged() -> None:
    opened, later = fail(POLICY, THRESHOLD), NOW + 10 * SECOND
    assert opened.record_failure(POLICY, later) == opened
    succeeded = opened.record_success(POLICY, later)
    assert (succeeded.failures, succeeded.open_until) == (0, opened.open_until)
    assert succeeded.get_state(POLICY, NOW + 30 * SECOND) is CircuitBreakerState.CLOSED


def test_failures_in_flight_during_retry_after_reach_threshold() -> None:
    breaker = CircuitBreaker().record_failure(POLICY, NOW, 7 * SECOND)
    breaker = fail(POLICY, THRESHOLD + 3, breaker)
    assert (breaker.failures, breaker.get_delay(NOW)) == (THRESHOLD, 7 * SECOND)
    assert breaker.get_state(POLICY, NOW + 7 * SECOND) is CircuitBreakerState.HALF_OPEN


def test_results_while_open_count_if_policy_counts_them() -> None:
    opened, later = fail(COUNTING_POLICY, THRESHOLD), NOW + 10 * SECOND
    assert opened.record_failure(COUNTING_POLICY, later) == CircuitBreaker(THRESHOLD + 1, later + 60 * SECOND)
    assert opened.record_success(COUNTING_POLICY, later) == CircuitBreaker()


retry_after_values = st.none() | st.integers(0, 600).map(lambda seconds: timedelta(seconds=seconds))


class CircuitBreakerMachine(RuleBasedStateMachine):
    """Circuit breaker under any sequence of results, with a simulated clock."""

    policy = POLICY

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.breaker = CircuitBreaker()
        self.failures = 0
        self.blocked_until = NOW

    @rule(seconds=st.integers(0, 700))
    def advance_clock(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def record_success(self) -> None:
        is_open = self.breaker.get_state(self.policy, self.now) is CircuitBreakerState.OPEN
        self.breaker = self.breaker.record_success(self.policy, self.now)
        self.failures = 0
        if not is_open or self.policy.counts_results_while_open:
            self.blocked_until = self.now

    @rule(retry_after=retry_after_values)
    def record_failure(self, retry_after: timedelta | None) -> None:
        is_open = self.breaker.get_state(self.policy, self.now) is CircuitBreakerState.OPEN
        self.breaker = self.breaker.record_failure(self.policy, self.now, retry_after)
        if is_open and not self.policy.counts_results_while_open:
            self.failures = max(self.failures, min(self.failures + 1, THRESHOLD))
        else:
            self.failures += 1
            if self.failures >= THRESHOLD:
                self.blocked_until = self.now + self._compute_open_duration()
        if retry_after is not None:
            retry_at = self.now + min(retry_after, self.policy.max_retry_after)
            self.blocked_until = max(self.blocked_until, retry_at)

    def _compute_open_duration(self) -> timedelta:
        """Return the duration of the open period, which doubles after each failure at the threshold."""
        doublings = min(self.failures - THRESHOLD, 10)
        return min(self.policy.open_duration * 2**doublings, self.policy.max_open_duration)

    @precondition(lambda self: self.failures >= THRESHOLD)
    @rule()
    def admit_one_probe_at_a_time(self) -> None:
        probing = self.breaker.try_acquire(self.policy, self.now, PROBE_TIMEOUT)
        if probing is None:
            return
        assert probing.try_acquire(self.policy, self.now, PROBE_TIMEOUT) is None
        assert probing.try_acquire(self.policy, self.now + PROBE_TIMEOUT, PROBE_TIMEOUT) is not None
        self.breaker = probing

    @invariant()
    def opens_after_consecutive_failures_for_bounded_time(self) -> None:
        acquired = self.breaker.try_acquire(self.policy, self.now, PROBE_TIMEOUT)
        if self.now < self.blocked_until:
            assert acquired is None
        elif self.failures < THRESHOLD:
            assert acquired is self.breaker
        max_delay = self.policy.max_open_duration
        assert self.breaker.try_acquire(self.policy, self.now + max_delay, PROBE_TIMEOUT) is not None


class CountingCircuitBreakerMachine(CircuitBreakerMachine):
    """The same with results that count while the circuit breaker is open."""

    policy = COUNTING_POLICY


TestCircuitBreaker = CircuitBreakerMachine.TestCase
TestCountingCircuitBreaker = CountingCircuitBreakerMachine.TestCase


@given(retry_after=retry_after_values, failures=st.integers(0, 3 * THRESHOLD))
def test_delay_and_try_acquire_agree(retry_after: timedelta | None, failures: int) -> None:
    breaker = fail(POLICY, failures).record_failure(POLICY, NOW, retry_after)
    is_permitted = breaker.try_acquire(POLICY, NOW, PROBE_TIMEOUT) is not None
    assert is_permitted == (breaker.get_delay(NOW) == timedelta(0))
    assert breaker.try_acquire(POLICY, NOW + breaker.get_delay(NOW), PROBE_TIMEOUT) is not None
