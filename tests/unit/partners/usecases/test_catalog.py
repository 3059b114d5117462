"""Catalog and basket prices."""

from dataclasses import replace

import pytest

from generated.problems import Reason
from services.partners.domain.partners import BasketLine, Partner
from services.partners.usecases import catalog
from tests.unit.fake_transactions import raises_reason
from tests.unit.partners.fakes import BOWL, LEMONADE, PRICE, FakeRepository


async def test_open_partners_are_listed_in_pages() -> None:
    repository = FakeRepository(*(replace(BOWL, id=index, enabled=index != 2) for index in range(1, 5)))
    first = await catalog.list_catalog(repository, 2, "", None, None)
    assert [entry.id for entry in first.items] == [1, 3]
    last = await catalog.list_catalog(repository, 2, first.next_page_token or "", None, None)
    assert ([entry.id for entry in last.items], last.next_page_token) == ([4], None)


@pytest.mark.parametrize("token", ["x", "WyJhIl0", "W10"])
async def test_invalid_page_token_raises(token: str) -> None:
    with raises_reason(Reason.INVALID_REQUEST):
        await catalog.list_catalog(FakeRepository(), 2, token, None, None)


async def test_basket_is_priced_at_partner() -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    repository.prices[1, 7] = PRICE
    partner, lines = await catalog.check_products(repository, 1, [BasketLine(7, 3)], 300, "USD")
    assert partner is BOWL
    assert [(line.product_id, line.title, line.quantity, line.price) for line in lines] == [(7, "Lemonade", 3, 100)]


@pytest.mark.parametrize(
    "partners", [[], [replace(BOWL, enabled=False)], [replace(BOWL, verified=False)], [replace(BOWL, id=2)]]
)
async def test_closed_partner_takes_no_basket(partners: list[Partner]) -> None:
    repository = FakeRepository(*partners, products=[LEMONADE])
    repository.prices[1, 7] = PRICE
    with raises_reason(Reason.PARTNER_UNAVAILABLE):
        await catalog.check_products(repository, 1, [BasketLine(7, 1)], 100, "USD")


@pytest.mark.parametrize(
    ("active", "total", "currency", "reason"),
    [
        (False, 100, "USD", Reason.PRODUCT_UNAVAILABLE),
        (True, 100, "EUR", Reason.CURRENCY_MISMATCH),
        (True, 99, "USD", Reason.TOTAL_MISMATCH),
    ],
)
async def test_basket_that_contradicts_prices_raises(active: bool, total: int, currency: str, reason: Reason) -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    repository.prices[1, 7] = replace(PRICE, active=active)
    with raises_reason(reason):
        await catalog.check_products(repository, 1, [BasketLine(7, 1)], total, currency)
