"""Circuit breaker of a provider, which also honours the provider's Retry-After."""

import time
from collections.abc import Callable

from services.notifications.domain.notifications import Outcome, ProviderResponse

FAILURE_THRESHOLD = 5
"""Number of consecutive failures that opens the breaker."""

INITIAL_OPEN_S = 1.0
MAX_OPEN_S = 30.0
HALF_OPEN_TIMEOUT_S = 15.0
"""Time after which another probe is permitted if the previous one has no result."""

MAX_RETRY_AFTER_S = 60.0
"""Limit on the Retry-After that applies to all messages; a longer one applies to its own message only."""


class CircuitBreaker:
    """Opens after consecutive failures, with exponential backoff; when half-open, permits one probe at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._consecutive_failures = 0
        self._open_count = 0
        self._open_until = 0.0
        self._probe_until = 0.0

    def reserve_permission(self) -> float:
        """Return the seconds until a call is permitted; 0 permits the call, which the caller must then make."""
        now = self._clock()
        if now < self._open_until:
            return self._open_until - now
        if self._consecutive_failures < FAILURE_THRESHOLD:
            return 0.0
        if now < self._probe_until:
            return self._probe_until - now
        self._probe_until = now + HALF_OPEN_TIMEOUT_S
        return 0.0

    def is_open(self) -> bool:
        """Return whether calls other than probes are blocked."""
        return self._consecutive_failures >= FAILURE_THRESHOLD or self._clock() < self._open_until

    def record(self, response: ProviderResponse) -> None:
        """Record the response of a call."""
        now = self._clock()
        if response.outcome in (Outcome.ACCEPTED, Outcome.REJECTED):
            self._consecutive_failures = self._open_count = 0
            self._probe_until = 0.0
            return
        self._consecutive_failures += 1
        if self._consecutive_failures >= FAILURE_THRESHOLD and now >= self._open_until:
            # Calls in flight when the breaker opened fail too and must not extend the open period.
            self._open_until = now + min(MAX_OPEN_S, INITIAL_OPEN_S * 2.0**self._open_count)
            self._open_count = min(self._open_count + 1, 10)
            self._probe_until = 0.0
        if response.outcome is Outcome.BUSY and response.retry_after:
            self._open_until = max(self._open_until, now + min(response.retry_after, MAX_RETRY_AFTER_S))
