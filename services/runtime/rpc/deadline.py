"""Deadline propagation from the request being served to outgoing calls."""

import time
from contextvars import ContextVar

current_deadline: ContextVar[float | None] = ContextVar("current_deadline", default=None)
"""Deadline of the request being served, on the clock of `time.monotonic()`; None without one."""


def set_deadline_after(*timeouts_s: float | None) -> None:
    """Set the current deadline to the shortest of the timeouts; None stands for no timeout."""
    timeout_s = _find_shortest(*timeouts_s)
    current_deadline.set(None if timeout_s is None else time.monotonic() + timeout_s)


def compute_effective_timeout_s(*timeouts_s: float | None) -> float | None:
    """Return the shortest of the timeouts and of the time left until the current deadline, at least 0.

    None stands for no timeout.
    """
    deadline = current_deadline.get()
    remaining_s = None if deadline is None else deadline - time.monotonic()
    timeout_s = _find_shortest(remaining_s, *timeouts_s)
    return None if timeout_s is None else max(0.0, timeout_s)


def _find_shortest(*timeouts_s: float | None) -> float | None:
    return min((timeout_s for timeout_s in timeouts_s if timeout_s is not None), default=None)
