"""Regression tests of the benchmark's ratios of processor time: each fails if its ratio grows by a quarter.

Every test compares the smallest values of alternating runs of both systems.
"""

import pytest

from bench import codec, compare_isolated_gateways, order_life
from bench.mesh import run_mesh_with_catalog
from bench.order_life import rows
from bench.results import compute_ratio_of_minima
from tests.performance import bounds


def assert_no_regression(name: str, ratio: float, typical_ratio: float) -> None:
    """Assert that the ratio is at most REGRESSION_FACTOR times the typical one, and print both."""
    max_ratio = bounds.REGRESSION_FACTOR * typical_ratio
    print(f"{name}: {ratio:.3f}, typically {typical_ratio}, at most {max_ratio:.3f}")
    assert ratio <= max_ratio, name


def test_cpu_of_catalog_page_has_not_grown_by_a_quarter() -> None:
    runs = codec.measure_page_cpu(25, 50)
    assert_no_regression("page", compute_ratio_of_minima(*runs), bounds.TYPICAL_PAGE_RATIO)


async def test_cpu_of_small_rpc_has_not_grown_by_a_quarter() -> None:
    runs = await codec.measure_rpc_cpu(25, 100)
    assert_no_regression("RPC", compute_ratio_of_minima(*runs), bounds.TYPICAL_RPC_RATIO)


@pytest.mark.timeout(180)
def test_cpu_of_isolated_gateway_has_not_grown_by_a_quarter() -> None:
    samples = compare_isolated_gateways.measure(repeats=4, seconds=1, warms_up_once=True)
    ratios = compare_isolated_gateways.compute_cpu_ratios(samples)
    assert ratios.keys() == bounds.TYPICAL_GATEWAY_RATIOS.keys()
    for key, ratio in ratios.items():
        assert_no_regression(", ".join(key), ratio, bounds.TYPICAL_GATEWAY_RATIOS[key])


@pytest.mark.timeout(300)
def test_cpu_of_an_order_has_not_grown_by_a_quarter() -> None:
    with run_mesh_with_catalog() as mesh:
        cpu = order_life.compare_shortly(mesh, round_count=4, order_count=30)
    ratio = rows.compute_life_ratio(cpu["mesh"], cpu["baseline"])
    assert_no_regression("life", ratio, bounds.TYPICAL_LIFE_RATIO)
