"""Ratios of the processor time of the isolated gateways."""

import pytest

from bench.compare_isolated_gateways import BASELINE, compute_cpu_ratios


def test_cpu_ratio_compares_the_smallest_times_of_all_repeats() -> None:
    assert compute_cpu_ratios({("list", BASELINE): [4, 9], ("list", "own"): [3, 1]}) == {
        ("list", "own"): pytest.approx(0.25)
    }
