"""Regression tests of the benchmark's ratios of processor time: each fails if its ratio grows by a quarter.

Every test compares the smallest values of alternating runs of both systems. Other work on the machine only adds
processor time, so a test above its bound measures again, and the smallest values of all its measurements count.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from itertools import islice

import pytest

from bench import codec, compare_isolated_gateways, order_life
from bench.mesh import run_mesh_with_catalog
from bench.order_life import rows
from bench.results import compute_ratio_of_minima
from tests.performance import bounds

MAX_MEASUREMENTS = 3


def assert_no_regression[Name](
    measurements: Iterable[Mapping[Name, float]], typical_ratios: Mapping[Name, float]
) -> None:
    """Assert that all ratios of one measurement are at most REGRESSION_FACTOR times the typical ones."""
    ratios: Mapping[Name, float] = {}
    for ratios in islice(measurements, MAX_MEASUREMENTS):
        assert ratios.keys() == typical_ratios.keys()
        print({name: f"{ratio:.3f}, typically {typical_ratios[name]}" for name, ratio in ratios.items()})
        if all(ratio <= bounds.REGRESSION_FACTOR * typical_ratios[name] for name, ratio in ratios.items()):
            return
    pytest.fail(f"ratios of {MAX_MEASUREMENTS} measurements: {ratios}, typically {typical_ratios}")


def test_cpu_of_catalog_page_has_not_grown_by_a_quarter() -> None:
    runs = codec.measure_page_cpu(25, 50)
    assert_no_regression([{"page": compute_ratio_of_minima(*runs)}], {"page": bounds.TYPICAL_PAGE_RATIO})


async def test_cpu_of_small_rpc_has_not_grown_by_a_quarter() -> None:
    runs = await codec.measure_rpc_cpu(25, 100)
    assert_no_regression([{"RPC": compute_ratio_of_minima(*runs)}], {"RPC": bounds.TYPICAL_RPC_RATIO})


@pytest.mark.timeout(480)
def test_cpu_of_isolated_gateway_has_not_grown_by_a_quarter() -> None:
    with closing(compare_isolated_gateways.iter_short_comparisons(repeats=4, seconds=1)) as comparisons:
        assert_no_regression(comparisons, bounds.TYPICAL_GATEWAY_RATIOS)


@pytest.mark.timeout(480)
def test_cpu_of_an_order_has_not_grown_by_a_quarter() -> None:
    with (
        run_mesh_with_catalog() as mesh,
        closing(order_life.iter_short_comparisons(mesh, round_count=4, order_count=30)) as comparisons,
    ):
        ratios = ({"life": rows.compute_life_ratio(cpu["mesh"], cpu["baseline"])} for cpu in comparisons)
        assert_no_regression(ratios, {"life": bounds.TYPICAL_LIFE_RATIO})
