"""Lists of banks in PostgreSQL, by id and by state."""

from dataclasses import replace

import pytest

from services.orders import usecases
from services.orders.domain.orders import Bank
from services.runtime.core.ids import generate_id
from tests.integration.fixtures.orders import ROOT, Orders


async def create_banks(orders: Orders, states: dict[str, bool]) -> str:
    """Create banks of these states, under ids that begin with the returned prefix."""
    prefix = f"zz{generate_id()[-12:]}-"
    async with orders.repository.unit_of_work() as unit:
        visa = await unit.banks.get("visa")
        assert visa is not None
        for name, active in states.items():
            await unit.banks.add(replace(visa, id=prefix + name, active=active))
    return prefix


@pytest.mark.parametrize(("active", "names"), [(None, ["a", "b", "c"]), (True, ["a", "c"]), (False, ["b"])])
async def test_registered_banks_are_filtered_in_pages(orders: Orders, active: bool | None, names: list[str]) -> None:
    prefix = await create_banks(orders, {"c": True, "a": True, "b": False})
    listed: list[Bank] = []
    token: str | None = ""
    while token is not None:
        page = await usecases.list_registered_banks(orders.repository, ROOT, 1, token, active)
        listed += page.items
        token = page.next_page_token
    assert [bank.id.removeprefix(prefix) for bank in listed if bank.id.startswith(prefix)] == names
    assert all(active in (None, bank.active) for bank in listed)


async def test_banks_of_customers_are_active(orders: Orders) -> None:
    prefix = await create_banks(orders, {"a": True, "b": False})
    banks = await orders.repository.banks.list_after(prefix, 10, active=True)
    assert [bank.id for bank in banks if bank.id.startswith(prefix)] == [f"{prefix}a"]
