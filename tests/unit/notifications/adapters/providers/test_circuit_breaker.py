"""Circuit breaker of a provider: opening, backoff, probes and Retry-After."""

from hypothesis import given
from hypothesis import strategies as st

from services.notifications.adapters.providers.circuit_breaker import (
    FAILURE_THRESHOLD,
    HALF_OPEN_TIMEOUT_S,
    MAX_OPEN_S,
    CircuitBreaker,
)
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Outcome, ProviderResponse

BUSY = ProviderResponse(Outcome.BUSY, "UNAVAILABLE")
UNCLEAR = ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
REJECTED = ProviderResponse(Outcome.REJECTED, "UNREGISTERED")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_breaker_opens_after_failures_and_permits_one_probe() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    for response in [BUSY, UNCLEAR] * (FAILURE_THRESHOLD // 2):
        breaker.record(response)
        assert breaker.reserve_permission() == 0
    breaker.record(BUSY)
    assert breaker.reserve_permission() == 1
    clock.now += 1
    assert breaker.reserve_permission() == 0
    assert breaker.reserve_permission() == HALF_OPEN_TIMEOUT_S, "only one probe is permitted"
    breaker.record(BUSY)
    assert breaker.reserve_permission() == 2
    clock.now += 2
    assert breaker.reserve_permission() == 0
    breaker.record(ACCEPTED_RESPONSE)
    assert [breaker.reserve_permission() for _ in range(3)] == [0, 0, 0]


def test_rejection_resets_failure_count() -> None:
    breaker = CircuitBreaker(Clock())
    for response in [*[BUSY] * (FAILURE_THRESHOLD - 1), REJECTED] * 3:
        breaker.record(response)
    assert breaker.reserve_permission() == 0


def test_retry_after_blocks_all_calls_up_to_60_s() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    breaker.record(ProviderResponse(Outcome.BUSY, "QUOTA_EXCEEDED", 7))
    assert breaker.reserve_permission() == 7
    breaker.record(ProviderResponse(Outcome.BUSY, "QUOTA_EXCEEDED", 3600))
    assert breaker.reserve_permission() == 60


@given(st.lists(st.sampled_from([BUSY, UNCLEAR, REJECTED, ACCEPTED_RESPONSE]), max_size=60))
def test_breaker_permits_call_after_maximum_open_time(responses: list[ProviderResponse]) -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    for response in responses:
        breaker.record(response)
        assert breaker.reserve_permission() <= MAX_OPEN_S
    clock.now += MAX_OPEN_S + HALF_OPEN_TIMEOUT_S
    assert breaker.reserve_permission() == 0
