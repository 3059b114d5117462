"""Circuit breaker of a provider: opening, backoff, probes and Retry-After."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.notifications.adapters.providers.circuit_breaker import (
    CIRCUIT_BREAKER_POLICY,
    PROBE_TIMEOUT,
    InMemoryCircuitBreaker,
)
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Outcome, ProviderResponse

BUSY = ProviderResponse(Outcome.BUSY, "UNAVAILABLE")
UNCLEAR = ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
REJECTED = ProviderResponse(Outcome.REJECTED, "UNREGISTERED")

FAILURE_THRESHOLD = CIRCUIT_BREAKER_POLICY.failure_threshold
MAX_OPEN_DURATION = CIRCUIT_BREAKER_POLICY.max_open_duration
NO_DELAY = timedelta(0)
SECOND = timedelta(seconds=1)


class Clock:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_breaker_opens_after_failures_and_permits_one_probe() -> None:
    clock = Clock()
    breaker = InMemoryCircuitBreaker(clock)
    for response in [BUSY, UNCLEAR] * (FAILURE_THRESHOLD // 2):
        breaker.record(response)
        assert breaker.reserve_permission() == NO_DELAY
    breaker.record(BUSY)
    assert breaker.reserve_permission() == SECOND
    clock.now += SECOND
    assert breaker.reserve_permission() == NO_DELAY
    assert breaker.reserve_permission() == PROBE_TIMEOUT, "only one probe is permitted"
    breaker.record(BUSY)
    assert breaker.reserve_permission() == 2 * SECOND
    clock.now += 2 * SECOND
    assert breaker.reserve_permission() == NO_DELAY
    breaker.record(ACCEPTED_RESPONSE)
    assert [breaker.reserve_permission() for _ in range(3)] == [NO_DELAY] * 3


def test_rejection_resets_failure_count() -> None:
    breaker = InMemoryCircuitBreaker(Clock())
    for response in [*[BUSY] * (FAILURE_THRESHOLD - 1), REJECTED] * 3:
        breaker.record(response)
    assert breaker.reserve_permission() == NO_DELAY


def test_retry_after_blocks_all_calls_up_to_60_s() -> None:
    clock = Clock()
    breaker = InMemoryCircuitBreaker(clock)
    breaker.record(ProviderResponse(Outcome.BUSY, "QUOTA_EXCEEDED", 7 * SECOND))
    assert breaker.reserve_permission() == 7 * SECOND
    breaker.record(ProviderResponse(Outcome.BUSY, "QUOTA_EXCEEDED", 3600 * SECOND))
    assert breaker.reserve_permission() == 60 * SECOND


def test_retry_after_of_unclear_response_blocks_no_calls() -> None:
    breaker = InMemoryCircuitBreaker(Clock())
    breaker.record(ProviderResponse(Outcome.UNCLEAR, "TIMEOUT", 7 * SECOND))
    assert breaker.reserve_permission() == NO_DELAY


def test_breaker_is_open_until_probe_succeeds() -> None:
    clock = Clock()
    breaker = InMemoryCircuitBreaker(clock)
    for _ in range(FAILURE_THRESHOLD):
        assert not breaker.is_open()
        breaker.record(BUSY)
    assert breaker.is_open()
    clock.now += SECOND
    assert breaker.is_open(), "half-open"
    breaker.record(ACCEPTED_RESPONSE)
    assert not breaker.is_open()


@given(st.lists(st.sampled_from([BUSY, UNCLEAR, REJECTED, ACCEPTED_RESPONSE]), max_size=60))
def test_breaker_permits_call_after_maximum_open_time(responses: list[ProviderResponse]) -> None:
    clock = Clock()
    breaker = InMemoryCircuitBreaker(clock)
    for response in responses:
        breaker.record(response)
        assert breaker.reserve_permission() <= MAX_OPEN_DURATION
    clock.now += MAX_OPEN_DURATION + PROBE_TIMEOUT
    assert breaker.reserve_permission() == NO_DELAY
