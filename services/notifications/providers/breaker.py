"""Keeps us from a provider that is failing, or has asked us to wait."""

import time
from collections.abc import Callable

from services.notifications.domain.notifications import Answer, Verdict

THRESHOLD = 5
"""Failures in a row that shut the gate."""

FIRST_S = 1.0
LONGEST_S = 30.0
PROBE_S = 15.0
"""How long one probe may take until another is let through."""

LONGEST_ASKED_S = 60.0
"""What a provider asks for beyond this holds for the one message, not for all."""


class Breaker:
    """Shut after failures in a row, longer each time; then one message at a time tries whether the provider is back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._shut = 0
        self._until = 0.0
        self._probe = 0.0

    def wait(self) -> float:
        """Seconds until the provider may be asked; 0 for now, which the caller then does."""
        now = self._clock()
        if now < self._until:
            return self._until - now
        if self._failures < THRESHOLD:
            return 0.0
        if now < self._probe:
            return self._probe - now
        self._probe = now + PROBE_S
        return 0.0

    def shut(self) -> bool:
        """Whether the provider is left alone, but for those who try whether it is back."""
        return self._failures >= THRESHOLD or self._clock() < self._until

    def heard(self, answer: Answer) -> None:
        """Takes an answer into account."""
        now = self._clock()
        if answer.verdict in (Verdict.ACCEPTED, Verdict.REFUSED):
            self._failures = self._shut = 0
            self._probe = 0.0
            return
        self._failures += 1
        if self._failures >= THRESHOLD and now >= self._until:
            # Whoever was under way when the gate shut fails too, and does not shut it for longer.
            self._until = now + min(LONGEST_S, FIRST_S * 2.0**self._shut)
            self._shut = min(self._shut + 1, 10)
            self._probe = 0.0
        if answer.verdict is Verdict.BUSY and answer.retry_after:
            self._until = max(self._until, now + min(answer.retry_after, LONGEST_ASKED_S))
