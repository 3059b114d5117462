"""Ratios of the processor time of the isolated gateways."""

import pytest

from bench.compare_isolated_gateways import BASELINE, compute_cpu_ratios
from bench.load_generator import Sample


def test_cpu_ratio_compares_the_smallest_times_of_all_repeats() -> None:
    samples = {name: [Sample(0, 0, 0, cpu) for cpu in runs] for name, runs in ((BASELINE, (4, 9)), ("own", (3, 1)))}
    assert compute_cpu_ratios({"list": samples}) == {("list", "own"): pytest.approx(0.25)}
