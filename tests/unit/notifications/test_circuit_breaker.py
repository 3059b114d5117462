"""The breaker of a provider: it shuts after failures in a row, for longer each time, and lets one try."""

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
REFUSED = ProviderResponse(Outcome.REJECTED, "UNREGISTERED")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_failures_in_a_row_shut_it_and_one_message_tries() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    for answer in [BUSY, UNCLEAR] * (FAILURE_THRESHOLD // 2):
        breaker.record(answer)
        assert breaker.reserve_permission() == 0
    breaker.record(BUSY)
    assert breaker.reserve_permission() == 1
    clock.now += 1
    assert breaker.reserve_permission() == 0
    assert breaker.reserve_permission() == HALF_OPEN_TIMEOUT_S, "only one tries"
    breaker.record(BUSY)
    assert breaker.reserve_permission() == 2
    clock.now += 2
    assert breaker.reserve_permission() == 0
    breaker.record(ACCEPTED_RESPONSE)
    assert [breaker.reserve_permission() for _ in range(3)] == [0, 0, 0]


def test_a_no_is_an_answer() -> None:
    breaker = CircuitBreaker(Clock())
    for answer in [*[BUSY] * (FAILURE_THRESHOLD - 1), REFUSED] * 3:
        breaker.record(answer)
    assert breaker.reserve_permission() == 0


def test_what_a_provider_asks_for_holds_for_all_up_to_a_minute() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    breaker.record(ProviderResponse(Outcome.BUSY, "QUOTA_EXCEEDED", 7))
    assert breaker.reserve_permission() == 7
    breaker.record(ProviderResponse(Outcome.BUSY, "QUOTA_EXCEEDED", 3600))
    assert breaker.reserve_permission() == 60


@given(st.lists(st.sampled_from([BUSY, UNCLEAR, REFUSED, ACCEPTED_RESPONSE]), max_size=60))
def test_it_opens_again_in_a_while_whatever_it_has_heard(answers: list[ProviderResponse]) -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    for answer in answers:
        breaker.record(answer)
        assert breaker.reserve_permission() <= MAX_OPEN_S
    clock.now += MAX_OPEN_S + HALF_OPEN_TIMEOUT_S
    assert breaker.reserve_permission() == 0
