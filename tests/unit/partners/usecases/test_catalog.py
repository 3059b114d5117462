"""Catalog and basket prices."""

from dataclasses import replace
from datetime import timedelta

import pytest

from generated.problems import Reason
from services.partners.domain.opening_hours import OpeningHours, OpeningPeriod, Weekday
from services.partners.domain.partners import BasketLine, Partner
from services.partners.usecases import catalog
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.partners.fakes import BOWL, LEMONADE, PRICE, FakeRepository


async def test_available_partners_are_listed_in_pages() -> None:
    repository = FakeRepository(*(replace(BOWL, id=index, enabled=index != 2) for index in range(1, 5)))
    first = await catalog.list_catalog(repository, repository.clock, 2, "", None, None)
    assert [entry.id for entry in first.items] == [1, 3]
    last = await catalog.list_catalog(repository, repository.clock, 2, first.next_page_token or "", None, None)
    assert ([entry.id for entry in last.items], last.next_page_token) == ([4], None)


@pytest.mark.parametrize("token", ["x", "WyJhIl0", "W10"])
async def test_invalid_page_token_raises(token: str) -> None:
    with raises_reason(Reason.INVALID_REQUEST):
        await catalog.list_catalog(FakeRepository(), lambda: NOW, 2, token, None, None)


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
    closed, always_open = (await catalog.list_catalog(repository, repository.clock, 2, "", None, None)).items
    assert (closed.is_open, closed.opens_at) == (False, NOW + timedelta(hours=2))
    assert (always_open.is_open, always_open.opens_at, always_open.opening_hours) == (True, None, None)
    repository.now += timedelta(hours=2)
    opened, _ = (await catalog.list_catalog(repository, repository.clock, 2, "", None, None)).items
    assert (opened.is_open, opened.opens_at) == (True, None)
