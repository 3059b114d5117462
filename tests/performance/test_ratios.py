"""Regression tests of benchmark ratios, with bounds that are looser than the goals of `make bench`."""

import pytest

from bench import codec, compare_isolated_gateways, order_life
from bench.mesh import run_mesh_with_catalog
from bench.order_life import rows
from bench.results import Row

MAX_LIFE_RATIO = 2.2
"""CPU time of an order's life compared with the baseline: a quarter above 1.75, the median of three runs.

The runs took place beside other tests, and measured 1.52, 1.75 and 1.76.
"""


def assert_within_bound(row: Row, bound: float) -> None:
    """Assert that the row meets a bound that is looser than its goal."""
    assert row.value >= bound if row.goal.startswith("≥") else row.value <= bound, f"{row.name}: {[*row.runs]}"


def test_catalog_page_encoding_is_within_1_6x_of_hand_written() -> None:
    assert_within_bound(codec.measure_page(5), 1.6)


async def test_small_rpc_is_within_1_5x_of_google_protobuf() -> None:
    assert_within_bound(await codec.measure_rpc(5, 300), 1.5)


@pytest.mark.timeout(180)
def test_isolated_gateway_is_not_slower_than_fastapi() -> None:
    for row in compare_isolated_gateways.run(repeats=3, seconds=1):
        if row.met is not None:
            assert_within_bound(row, 1.0)


@pytest.mark.timeout(300)
def test_cpu_of_an_order_has_not_grown_by_a_quarter() -> None:
    with run_mesh_with_catalog() as mesh:
        cpu = order_life.compare_shortly(mesh, order_count=30)
    (life,) = (row for row in rows.build_ratios(cpu["mesh"], cpu["baseline"]) if row.met is not None)
    assert_within_bound(life, MAX_LIFE_RATIO)
