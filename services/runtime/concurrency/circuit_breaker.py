"""Circuit breaker: an immutable state machine without I/O, for a state in memory or in a database.

See https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.runtime.core.backoff import compute_exponential_delay_s


class CircuitBreakerState(StrEnum):
    """State of a circuit breaker: closed permits all calls, open blocks them, half-open permits one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class CircuitBreakerPolicy:
    """Limits of a circuit breaker.

    It opens for `open_duration` after `failure_threshold` consecutive failures. The duration doubles after each further
    failure, up to `max_open_duration`. A Retry-After is honoured up to `max_retry_after`.
    """

    failure_threshold: int
    open_duration: timedelta
    max_open_duration: timedelta
    max_retry_after: timedelta = timedelta(0)
    counts_results_while_open: bool = False
    """Set if calls may be made despite an open circuit breaker, so that their results count.

    Otherwise, results that are recorded while it is open are of calls that were in flight when it opened. They do not
    change the end of the open period.
    """


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """State of a circuit breaker; every operation returns the next state.

    `failures` counts consecutive failures. `open_until` is the end of the open period, or the deadline of the probe if
    `is_probing` is set.
    """

    failures: int = 0
    open_until: datetime | None = None
    is_probing: bool = False
    """Not needed, and not stored, under a policy that counts results while open."""

    def get_state(self, policy: CircuitBreakerPolicy, now: datetime) -> CircuitBreakerState:
        """Return the state at a time."""
        if self._is_blocked(now) and not self.is_probing:
            return CircuitBreakerState.OPEN
        if self.failures >= policy.failure_threshold:
            return CircuitBreakerState.HALF_OPEN
        return CircuitBreakerState.CLOSED

    def get_delay(self, now: datetime) -> timedelta:
        """Return the time until `try_acquire` can permit a call; zero if it permits one now."""
        return timedelta(0) if self.open_until is None else max(timedelta(0), self.open_until - now)

    def try_acquire(
        self, policy: CircuitBreakerPolicy, now: datetime, probe_timeout: timedelta
    ) -> "CircuitBreaker | None":
        """Return the state for the duration of a call, or None if the call is blocked.

        The first call of a half-open circuit breaker is its probe. Other calls are blocked until the result of the
        probe is recorded, or for `probe_timeout` if it never is.
        """
        if self._is_blocked(now):
            return None
        if self.failures < policy.failure_threshold:
            return self
        return replace(self, open_until=now + probe_timeout, is_probing=True)

    def record_success(self, policy: CircuitBreakerPolicy, now: datetime) -> "CircuitBreaker":
        """Return the state after a response that shows that the peer works."""
        return CircuitBreaker(open_until=self.open_until) if self._has_fixed_end(policy, now) else CircuitBreaker()

    def record_failure(
        self, policy: CircuitBreakerPolicy, now: datetime, retry_after: timedelta | None = None
    ) -> "CircuitBreaker":
        """Return the state after a failed call. It is open at least for the peer's Retry-After."""
        after = self._count_failure(policy, now)
        if not retry_after:
            return after
        retry_at = now + min(retry_after, policy.max_retry_after)
        return replace(after, open_until=max(after.open_until or retry_at, retry_at))

    def _count_failure(self, policy: CircuitBreakerPolicy, now: datetime) -> "CircuitBreaker":
        is_at_threshold = self.failures >= policy.failure_threshold
        if self._has_fixed_end(policy, now):
            # Failures above the threshold determine the next open duration; failures while open must not extend it.
            return CircuitBreaker(self.failures if is_at_threshold else self.failures + 1, self.open_until)
        failures = self.failures + 1
        if failures < policy.failure_threshold:
            return CircuitBreaker(failures, self.open_until)
        open_duration_s = compute_exponential_delay_s(
            failures - policy.failure_threshold + 1,
            policy.open_duration.total_seconds(),
            policy.max_open_duration.total_seconds(),
        )
        return CircuitBreaker(failures, now + timedelta(seconds=open_duration_s))

    def _has_fixed_end(self, policy: CircuitBreakerPolicy, now: datetime) -> bool:
        return self.get_state(policy, now) is CircuitBreakerState.OPEN and not policy.counts_results_while_open

    def _is_blocked(self, now: datetime) -> bool:
        return self.open_until is not None and now < self.open_until
