"""Circuit breaker of a provider, in memory; it also honours the provider's Retry-After."""

from datetime import timedelta
from typing import override

from services.notifications.domain.notifications import FINAL_OUTCOMES, Outcome, ProviderResponse
from services.notifications.usecases.deliver import ProviderCircuitBreaker
from services.runtime.concurrency.circuit_breaker import CircuitBreaker, CircuitBreakerPolicy, CircuitBreakerState
from services.runtime.core.clock import Clock, get_monotonic_time

CIRCUIT_BREAKER_POLICY = CircuitBreakerPolicy(
    failure_threshold=5,
    open_duration=timedelta(seconds=1),
    max_open_duration=timedelta(seconds=30),
    max_retry_after=timedelta(seconds=60),
)
"""Policy of a provider's circuit breaker. A Retry-After above the maximum applies to its own message only."""

PROBE_TIMEOUT = timedelta(seconds=15)
"""Time after which another probe is permitted if the previous one has no result."""


class InMemoryCircuitBreaker(ProviderCircuitBreaker):
    """Circuit breaker of one provider in one process."""

    def __init__(self, clock: Clock = get_monotonic_time) -> None:
        self._clock = clock
        self._breaker = CircuitBreaker()

    @override
    def reserve_permission(self) -> timedelta:
        now = self._clock()
        acquired = self._breaker.try_acquire(CIRCUIT_BREAKER_POLICY, now, PROBE_TIMEOUT)
        if acquired is None:
            return self._breaker.get_delay(now)
        self._breaker = acquired
        return timedelta(0)

    def is_open(self) -> bool:
        """Return whether calls other than probes are blocked."""
        return self._breaker.get_state(CIRCUIT_BREAKER_POLICY, self._clock()) is not CircuitBreakerState.CLOSED

    @override
    def record(self, response: ProviderResponse) -> None:
        now = self._clock()
        if response.outcome in FINAL_OUTCOMES:
            self._breaker = self._breaker.record_success(CIRCUIT_BREAKER_POLICY, now)
        else:
            retry_after = response.retry_after if response.outcome is Outcome.BUSY else None
            self._breaker = self._breaker.record_failure(CIRCUIT_BREAKER_POLICY, now, retry_after)
