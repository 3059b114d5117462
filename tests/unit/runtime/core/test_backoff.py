"""Retry delays: exponential backoff and jitter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.core import backoff


@pytest.mark.parametrize(("failures", "delay_s"), [(1, 0.2), (2, 0.4), (3, 0.8), (5, 3.2), (6, 5.0), (10**6, 5.0)])
def test_delay_doubles_up_to_maximum(failures: int, delay_s: float) -> None:
    assert backoff.compute_exponential_delay_s(failures, 0.2, 5.0) == pytest.approx(delay_s)


@given(delay_s=st.floats(0, 10**6), jitter=st.floats(0, 1))
def test_jitter_selects_delay_within_ratio(delay_s: float, jitter: float) -> None:
    low, high = (delay_s * (1 + sign * backoff.JITTER_RATIO) for sign in (-1, 1))
    assert low * (1 - 1e-9) <= backoff.apply_jitter(delay_s, jitter) <= high * (1 + 1e-9)
    assert backoff.apply_jitter(delay_s, 0.5) == delay_s


def test_jitter_is_random_by_default() -> None:
    delays = {backoff.apply_jitter(10.0) for _ in range(20)}
    assert len(delays) > 1
    assert all(8 <= delay <= 12 for delay in delays)
