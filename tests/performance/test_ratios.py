"""Ratios with bounds that only a regression misses; `make bench` measures them properly."""

import pytest

from bench import codec, compare_isolated_gateways
from bench.results import Row


def held(row: Row, bound: float) -> None:
    """Fails when the row is on the wrong side of a bound that is more generous than its goal."""
    assert row.value >= bound if row.goal.startswith("≥") else row.value <= bound, f"{row.name}: {[*row.runs]}"


def test_a_page_costs_about_what_it_costs_by_hand() -> None:
    held(codec.measure_page(5), 1.6)


async def test_a_small_rpc_costs_about_what_it_costs_with_googles_messages() -> None:
    held(await codec.measure_rpc(5, 300), 1.5)


@pytest.mark.timeout(180)
def test_the_gateway_alone_is_not_slower_than_fastapi() -> None:
    for row in compare_isolated_gateways.run(repeats=3, seconds=1):
        if row.met is not None:
            held(row, 1.0)
