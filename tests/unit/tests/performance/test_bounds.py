"""Bounds of the performance tests compared with the results of the benchmark in README.md."""

import re

from tests.conftest import ROOT
from tests.performance import bounds

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
