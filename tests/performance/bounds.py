"""Bounds of the ratios that the tests of this folder measure, each 1.25 times the typical ratio of its own measurement.

The typical ratios are medians of five runs or more on 2026-11-30, on two processors with much other work. The range of
these runs is stated behind each of them.
"""

from bench.compare_isolated_gateways import CACHING_GATEWAY, CHECK_ORDER, GATEWAY, LIST_CATALOG

REGRESSION_FACTOR = 1.25
"""Ratio of a bound to the typical value: an increase by more than a quarter is a regression."""

TYPICAL_LIFE_RATIO = 1.0  # 0.97 to 1.20, with three rounds and a smaller warm-up
TYPICAL_PAGE_RATIO = 0.97  # 0.96 to 1.02
TYPICAL_RPC_RATIO = 1.12  # 1.11 to 1.13
TYPICAL_GATEWAY_RATIOS = {
    (CHECK_ORDER, GATEWAY): 0.48,  # 0.45 to 0.52
    (LIST_CATALOG, GATEWAY): 0.41,  # 0.37 to 0.54
    (LIST_CATALOG, CACHING_GATEWAY): 0.05,  # 0.04 to 0.05
}
"""By request and gateway."""
