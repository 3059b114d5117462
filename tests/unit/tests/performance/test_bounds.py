"""Bounds of the performance tests compared with the results of the benchmark in README.md."""

import re

import pytest

from tests.conftest import ROOT
from tests.performance import bounds
from tests.performance.test_ratios import MAX_MEASUREMENTS, assert_no_regression

README_ALLOWANCE = 0.1
"""Permitted excess of the life's bound over REGRESSION_FACTOR times the ratio in README.md.

The short measurement of the test and the long one of `make bench` differ by less.
"""


def read_life_ratio(text: str) -> float:
    """Return the ratio of the life, the last column of README's table."""
    (ratio,) = re.findall(r"(?m)^\| mesh vs baseline \|.* ([\d.]+) × \|$", text)
    return float(ratio)


def test_life_ratio_is_the_last_cell_of_the_table() -> None:
    assert read_life_ratio("| mesh vs baseline | 1.15 × | 0.92 × |\n| other |\n") == 0.92


def test_bound_of_life_agrees_with_the_ratio_in_readme() -> None:
    ratio = read_life_ratio((ROOT / "README.md").read_text(encoding="utf-8"))
    max_ratio = bounds.REGRESSION_FACTOR * bounds.TYPICAL_LIFE_RATIO
    assert max_ratio <= bounds.REGRESSION_FACTOR * ratio + README_ALLOWANCE


def test_regression_of_a_quarter_is_allowed_at_most() -> None:
    assert bounds.REGRESSION_FACTOR <= 1.25


def test_ratio_above_its_bound_is_measured_again() -> None:
    assert_no_regression([{"life": 1.3}, {"life": 1.2}], {"life": 1.0})


def test_regression_in_all_measurements_fails() -> None:
    measurements = [{"life": 1.3, "list": 0.5}] * MAX_MEASUREMENTS + [{"life": 1.0, "list": 0.5}]
    with pytest.raises(pytest.fail.Exception, match=r"1\.3"):
        assert_no_regression(measurements, {"life": 1.0, "list": 0.5})
