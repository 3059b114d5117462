"""Catalog and basket prices."""

from dataclasses import replace
from datetime import timedelta

import pytest

from generated.problems import Reason
from services.partners.domain.catalog_sorting import CatalogFilter, CatalogSort, ProductSort
from services.partners.domain.opening_hours import OpeningHours, OpeningPeriod, Weekday
from services.partners.domain.partners import BasketLine, CatalogEntry, Partner
from services.partners.usecases import catalog
from services.runtime.core.pagination import Page
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.partners.fakes import BOWL, LEMONADE, PRICE, FakeRepository


async def list_two_by_id(repository: FakeRepository, token: str = "") -> Page[CatalogEntry]:
    """Return a page of two partners."""
    return await catalog.list_catalog(repository, repository.clock, 2, token, CatalogSort.ID, CatalogFilter())


async def test_available_partners_are_listed_in_pages() -> None:
    repository = FakeRepository(*(replace(BOWL, id=index, enabled=index != 2) for index in range(1, 5)))
    first = await list_two_by_id(repository)
    assert [entry.id for entry in first.items] == [1, 3]
    last = await catalog.list_catalog(
        repository, repository.clock, 2, first.next_page_token or "", CatalogSort.ID, CatalogFilter()
    )
    assert ([entry.id for entry in last.items], last.next_page_token) == ([4], None)


@pytest.mark.parametrize("token", ["x", "WyJhIl0", "W10"])
async def test_invalid_page_token_raises(token: str) -> None:
    with raises_reason(Reason.INVALID_REQUEST):
        await catalog.list_catalog(FakeRepository(), lambda: NOW, 2, token, CatalogSort.ID, CatalogFilter())


async def test_basket_is_priced_at_partner() -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    repository.prices[1, 7] = PRICE
    partner, lines = await catalog.check_products(repository, repository.clock, 1, [BasketLine(7, 3)], 300, "USD")
    assert partner is BOWL
    assert [(line.product_id, line.title, line.quantity, line.price) for line in lines] == [(7, "Lemonade", 3, 100)]


@pytest.mark.parametrize(
    "partners", [[], [replace(BOWL, enabled=False)], [replace(BOWL, verified=False)], [replace(BOWL, id=2)]]
)
async def test_unavailable_partner_takes_no_basket(partners: list[Partner]) -> None:
    repository = FakeRepository(*partners, products=[LEMONADE])
    repository.prices[1, 7] = PRICE
    with raises_reason(Reason.PARTNER_UNAVAILABLE):
        await catalog.check_products(repository, repository.clock, 1, [BasketLine(7, 1)], 100, "USD")


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
        await catalog.check_products(repository, repository.clock, 1, [BasketLine(7, 1)], total, currency)


def build_partner_open_from(hours_from_now: int) -> Partner:
    """Return a partner that opens for an hour each week, some hours from NOW."""
    opens = NOW + timedelta(hours=hours_from_now)
    period = OpeningPeriod(Weekday(opens.isoweekday()), opens.time(), (opens + timedelta(hours=1)).time())
    return replace(BOWL, opening_hours=OpeningHours("UTC", (period,)))


async def test_closed_partner_takes_no_basket_and_names_next_opening() -> None:
    repository = FakeRepository(build_partner_open_from(2), products=[LEMONADE])
    repository.prices[1, 7] = PRICE
    with raises_reason(Reason.PARTNER_CLOSED) as raised:
        await catalog.check_products(repository, repository.clock, 1, [BasketLine(7, 1)], 100, "USD")
    opens_at = NOW + timedelta(hours=2)
    assert raised.value.members == {"opens_at": f"{opens_at:%Y-%m-%dT%H:%M:%SZ}", "time_zone": "UTC"}
    repository.now = opens_at
    assert await catalog.check_products(repository, repository.clock, 1, [BasketLine(7, 1)], 100, "USD")


async def test_catalog_states_opening_as_of_now() -> None:
    repository = FakeRepository(build_partner_open_from(2), replace(BOWL, id=2))
    closed, always_open = (await list_two_by_id(repository)).items
    assert (closed.is_open, closed.opens_at) == (False, NOW + timedelta(hours=2))
    assert (always_open.is_open, always_open.opens_at, always_open.opening_hours) == (True, None, None)
    repository.now += timedelta(hours=2)
    opened, _ = (await list_two_by_id(repository)).items
    assert (opened.is_open, opened.opens_at) == (True, None)


async def list_all_offers(repository: FakeRepository, sort: ProductSort, category: str | None = None) -> list[int]:
    """Return the ids of the products of partner 1, read in pages of two."""
    ids: list[int] = []
    token: str | None = ""
    while token is not None:
        page = await catalog.list_partner_products(repository, 1, 2, token, sort, category)
        ids += [offer.id for offer in page.items]
        token = page.next_page_token
    return ids


def build_offers() -> FakeRepository:
    """Return partner 1 with five products; product 5 is not on sale."""
    titles = ["pie", "Apple", "Soup", "apple", "Zander"]
    products = [
        replace(LEMONADE, id=index, title=title, category="fruit" if title.lower() == "apple" else None)
        for index, title in enumerate(titles, start=1)
    ]
    repository = FakeRepository(BOWL, products=products)
    for index, price in enumerate([300, 100, 300, 200, 100], start=1):
        repository.prices[1, index] = replace(PRICE, price=price, active=index != 5)
    return repository


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        (ProductSort.ID, [1, 2, 3, 4]),
        (ProductSort.ALPHABETICAL, [2, 4, 1, 3]),
        (ProductSort.PRICE, [2, 4, 1, 3]),
        (ProductSort.PRICE_DESCENDING, [3, 1, 4, 2]),
    ],
)
async def test_products_on_sale_are_listed_in_order(sort: ProductSort, ids: list[int]) -> None:
    repository = build_offers()
    assert await list_all_offers(repository, sort) == ids
    assert await list_all_offers(repository, sort, "fruit") == [each for each in ids if each in (2, 4)]
    assert await list_all_offers(repository, sort, "fish") == []


async def test_partners_are_listed_by_title() -> None:
    titles = {1: "bowl", 2: "Zest", 3: "Bowl", 4: "Apple"}
    repository = FakeRepository(*(replace(BOWL, id=index, title=title) for index, title in titles.items()))
    ids: list[int] = []
    token: str | None = ""
    while token is not None:
        page = await catalog.list_catalog(
            repository, repository.clock, 2, token, CatalogSort.ALPHABETICAL, CatalogFilter()
        )
        ids += [entry.id for entry in page.items]
        token = page.next_page_token
    assert ids == [4, 1, 3, 2]


@pytest.mark.parametrize("sort", ProductSort)
@pytest.mark.parametrize("other", ProductSort)
async def test_page_token_is_valid_for_its_order_only(sort: ProductSort, other: ProductSort) -> None:
    repository = build_offers()
    token = (await catalog.list_partner_products(repository, 1, 2, "", sort, None)).next_page_token or ""
    if sort is other:
        assert (await catalog.list_partner_products(repository, 1, 2, token, other, None)).items
        return
    with raises_reason(Reason.INVALID_REQUEST):
        await catalog.list_partner_products(repository, 1, 2, token, other, None)


@pytest.mark.parametrize("partner", [replace(BOWL, enabled=False), replace(BOWL, verified=False), replace(BOWL, id=2)])
async def test_products_of_unavailable_partner_are_not_listed(partner: Partner) -> None:
    with raises_reason(Reason.PARTNER_NOT_FOUND):
        await catalog.list_partner_products(FakeRepository(partner), 1, 10, "", ProductSort.ID, None)
