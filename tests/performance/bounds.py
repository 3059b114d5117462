"""Bounds of the ratios that the tests of this folder measure, each 1.25 times the typical ratio of its own measurement.

The typical ratios are medians of runs on 2026-11-30 on two processors: five of the life, and at least five of the
others, some of them with other work. The range of the runs is stated behind each ratio.
"""

from bench.compare_isolated_gateways import CACHING_GATEWAY, CHECK_ORDER, GATEWAY, LIST_CATALOG

REGRESSION_FACTOR = 1.25
"""Ratio of a bound to the typical value: an increase by more than a quarter is a regression."""

TYPICAL_LIFE_RATIO = 0.94  # 0.92 to 1.00
TYPICAL_PAGE_RATIO = 0.98  # 0.96 to 1.02
TYPICAL_RPC_RATIO = 1.12  # 1.06 to 1.15
TYPICAL_GATEWAY_RATIOS = {
    (CHECK_ORDER, GATEWAY): 0.49,  # 0.41 to 0.52
    (LIST_CATALOG, GATEWAY): 0.42,  # 0.37 to 0.54
    (LIST_CATALOG, CACHING_GATEWAY): 0.058,  # 0.038 to 0.065; the median is 0.053, the spread is larger than of others
}
"""By request and gateway."""
