"""Retry delays: exponential backoff, and jitter, without which all processes would retry at the same time."""

import random

JITTER_RATIO = 0.2
"""Maximum deviation of a delay, as a share of it."""

_MAX_DOUBLINGS = 30
_random = random.SystemRandom()


def compute_exponential_delay_s(failures: int, initial_s: float, max_s: float) -> float:
    """Return the delay after that many consecutive failures: `initial_s` after the first, doubled up to `max_s`."""
    return min(max_s, initial_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))


def draw_jitter() -> float:
    """Return a random jitter for `apply_jitter`, from 0 to 1."""
    return _random.random()


def apply_jitter(delay_s: float, jitter: float | None = None) -> float:
    """Return the delay changed by at most JITTER_RATIO.

    `jitter`, from 0 to 1, selects the delay within that range; 0.5 leaves it unchanged. It is random by default.
    """
    return delay_s * (1 + JITTER_RATIO * (2 * (draw_jitter() if jitter is None else jitter) - 1))
