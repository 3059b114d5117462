"""Keeps us from a provider that is failing, or has asked us to wait."""

import time
from collections.abc import Callable

from services.notifications.domain.notifications import Outcome, ProviderResponse

FAILURE_THRESHOLD = 5
"""Failures in a row that shut the gate."""

INITIAL_OPEN_S = 1.0
MAX_OPEN_S = 30.0
HALF_OPEN_TIMEOUT_S = 15.0
"""How long one probe may take until another is let through."""

MAX_RETRY_AFTER_S = 60.0
"""What a provider asks for beyond this holds for the one message, not for all."""


class CircuitBreaker:
    """Shut after failures in a row, longer each time; then one message at a time tries whether the provider is back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._consecutive_failures = 0
        self._open_count = 0
        self._open_until = 0.0
        self._probe_until = 0.0

    def reserve_permission(self) -> float:
        """Seconds until the provider may be asked; 0 for now, which the caller then does."""
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
        """Whether the provider is left alone, but for those who try whether it is back."""
        return self._consecutive_failures >= FAILURE_THRESHOLD or self._clock() < self._open_until

    def record(self, response: ProviderResponse) -> None:
        """Takes an answer into account."""
        now = self._clock()
        if response.outcome in (Outcome.ACCEPTED, Outcome.REJECTED):
            self._consecutive_failures = self._open_count = 0
            self._probe_until = 0.0
            return
        self._consecutive_failures += 1
        if self._consecutive_failures >= FAILURE_THRESHOLD and now >= self._open_until:
            # Whoever was under way when the gate shut fails too, and does not shut it for longer.
            self._open_until = now + min(MAX_OPEN_S, INITIAL_OPEN_S * 2.0**self._open_count)
            self._open_count = min(self._open_count + 1, 10)
            self._probe_until = 0.0
        if response.outcome is Outcome.BUSY and response.retry_after:
            self._open_until = max(self._open_until, now + min(response.retry_after, MAX_RETRY_AFTER_S))
