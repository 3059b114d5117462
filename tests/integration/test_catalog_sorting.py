"""Orders and categories of the catalog in PostgreSQL."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from generated.proto.delivery.partners import v1
from services.partners.adapters.postgres.catalog import build_catalog_statements
from services.partners.domain.catalog_sorting import CatalogFilter, CatalogSort, ProductSort
from services.partners.entrypoints.rpc import PartnersRpc
from services.partners.usecases import catalog
from services.runtime.core.clock import now
from services.runtime.core.principal import Principal
from services.runtime.rpc.codec import get_codec
from services.runtime.storage.statements.statement import Statement
from tests.integration.fixtures.partners import PartnersFixture

ADMIN = Principal("root", "admin", "root@delivery.test", True, now() + timedelta(hours=1))
PREFIX = "x" * 70
TITLES = ["pie", "Apple", "Äpfel", "apple", "Zander", "zebra", f"{PREFIX} b", f"{PREFIX} a", "😀" * 100, '"\\' * 40]
"""Titles that differ in case, have other scripts, or differ after the part by which lists are ordered only."""


class Shop:
    """Partner whose products have the titles, in two categories, at three prices."""

    def __init__(self, partners: PartnersFixture) -> None:
        self.partners = partners
        self.rpc = PartnersRpc(partners.repository, partners.secret_box, now)
        self.prices: dict[int, int] = {}
        self.partner_id = 0

    async def open(self) -> None:
        """Create the partner and its products."""
        self.partner_id = await self.create_partner("Shop")
        for index, title in enumerate(TITLES):
            await self.add_product(title, 100 * (index % 3), "soups" if index % 2 else None)

    async def create_partner(self, title: str) -> int:
        request = v1.CreatePartnerRequest(
            title=title,
            brand="S",
            phone="+12025550101",
            email="s@delivery.test",
            address="1 Lane",
            api_url="https://shop.example/api",
            verified=True,
            enabled=True,
        )
        response = get_codec().decode(v1.CreatePartnerResponse, (await self.rpc.create_partner(request, ADMIN)).data)
        assert response.partner is not None
        return response.partner.id

    async def add_product(self, title: str, price: int, category: str | None = None) -> int:
        request = v1.CreateProductRequest(title=title, description="", category=category)
        response = get_codec().decode(v1.CreateProductResponse, (await self.rpc.create_product(request, ADMIN)).data)
        assert response.product is not None
        assert response.product.category == category
        product_id = response.product.id
        offer = v1.SetAvailabilityRequest(
            partner_id=self.partner_id, product_id=product_id, price=price, currency="USD", active=True
        )
        await self.rpc.set_availability(offer, ADMIN)
        self.prices[product_id] = price
        return product_id

    async def list_products(
        self, sort: ProductSort, page_size: int, category: str | None = None
    ) -> list[v1.CatalogProduct]:
        """Return the products on sale, read in pages."""
        items: list[v1.CatalogProduct] = []
        token: str | None = ""
        while token is not None:
            request = v1.ListPartnerProductsRequest(
                partner_id=self.partner_id,
                page_size=page_size,
                page_token=token,
                sort=v1.ProductSort[sort.name],
                category=category,
            )
            page = await self.rpc.list_partner_products(request)
            items += page.items
            token = page.next_page_token
            assert len(token or "") < 480  # the signature and the limit of the contract leave no more
        return items


@pytest.fixture
async def shop(partners: PartnersFixture) -> Shop:
    shop = Shop(partners)
    await shop.open()
    return shop


@pytest.mark.parametrize("page_size", [1, 3, 100])
async def test_every_order_lists_each_product_once(shop: Shop, page_size: int) -> None:
    for sort in ProductSort:
        listed = [product.id for product in await shop.list_products(sort, page_size)]
        assert sorted(listed) == sorted(shop.prices)
        assert listed == [product.id for product in await shop.list_products(sort, 100)]


async def test_products_are_ordered_by_price_and_title(shop: Shop) -> None:
    by_price = await shop.list_products(ProductSort.PRICE, 2)
    assert [(product.price, product.id) for product in by_price] == sorted((p, i) for i, p in shop.prices.items())
    descending = await shop.list_products(ProductSort.PRICE_DESCENDING, 2)
    assert descending == by_price[::-1]
    titles = [product.title for product in await shop.list_products(ProductSort.ALPHABETICAL, 2)]
    assert [title for title in titles if title in ("pie", "Apple", "apple", "Zander", "zebra")] == [
        "Apple",
        "apple",
        "pie",
        "Zander",
        "zebra",
    ]


async def test_change_between_pages_moves_no_other_product(shop: Shop) -> None:
    first = v1.ListPartnerProductsRequest(partner_id=shop.partner_id, page_size=4, sort=v1.ProductSort.PRICE)
    page = await shop.rpc.list_partner_products(first)
    removed, added = page.items[-1].id, await shop.add_product("First", 0)
    await shop.rpc.delete_product(v1.DeleteProductRequest(product_id=removed), ADMIN)
    assert page.next_page_token
    rest = await shop.rpc.list_partner_products(
        v1.ListPartnerProductsRequest(
            partner_id=shop.partner_id, page_size=100, sort=v1.ProductSort.PRICE, page_token=page.next_page_token
        )
    )
    listed = [product.id for product in (*page.items, *rest.items)]
    assert sorted(listed) == sorted(product for product in shop.prices if product != added or added in listed)


async def test_category_restricts_products_and_partners(shop: Shop) -> None:
    soups = [product.title for product in await shop.list_products(ProductSort.ID, 2, "soups")]
    assert soups == TITLES[1::2]
    assert await shop.list_products(ProductSort.ALPHABETICAL, 2, "fish") == []
    for category, q, titles in (("soups", None, soups), ("soups", "APPLE", ["Apple", "apple"]), (None, "pie", ["pie"])):
        encoded = await shop.rpc.list_catalog(
            v1.ListCatalogRequest(page_size=5, partner_id=shop.partner_id, category=category, q=q)
        )
        (entry,) = get_codec().decode(v1.ListCatalogResponse, encoded.data).items
        assert [product.title for product in entry.products] == titles
    fish = await shop.rpc.list_catalog(v1.ListCatalogRequest(page_size=5, partner_id=shop.partner_id, category="fish"))
    assert get_codec().decode(v1.ListCatalogResponse, fish.data).items == []


async def test_category_is_changed_and_removed(shop: Shop) -> None:
    product_id = min(shop.prices)
    for update, category in (({"category": "pies"}, "pies"), ({"remove": ["category"]}, None)):
        response = await shop.rpc.update_product(v1.UpdateProductRequest(product_id=product_id, **update), ADMIN)
        assert response.product is not None
        assert response.product.category == category


async def test_partners_are_listed_alphabetically_in_pages(shop: Shop) -> None:
    product_id = min(shop.prices)
    created = [await shop.create_partner(title) for title in ("beta", "Alpha", "alpha", PREFIX + "2", PREFIX + "1")]
    for partner_id in created:
        offer = v1.SetAvailabilityRequest(
            partner_id=partner_id, product_id=product_id, price=1, currency="USD", active=True
        )
        await shop.rpc.set_availability(offer, ADMIN)
    repository = shop.partners.repository
    listed = []
    token: str | None = ""
    while token is not None:
        page = await catalog.list_catalog(repository, now, 1, token, CatalogSort.ALPHABETICAL, CatalogFilter())
        listed += [entry.id for entry in page.items]
        token = page.next_page_token
    beta, alpha, same, second, third = created
    assert [partner_id for partner_id in listed if partner_id in created] == [alpha, same, beta, second, third]
    assert len(listed) == len(set(listed))


async def explain(partners: PartnersFixture, statement: Statement[Any], disabled: Sequence[str], **values: Any) -> str:
    """Return the plan of a statement on a small table, for which the planner prefers the disabled methods."""
    async with partners.database.transaction() as transaction:
        await transaction.begin()
        for method in disabled:
            await transaction.connection.execute(f"SET LOCAL {method} = off".encode())
        values = {**statement.defaults, "after_id": 1, "size": 20, "partner_id": None, **values}
        cursor = await transaction.connection.execute(b"EXPLAIN " + statement.sql, values, prepare=False)
        return "\n".join(itertools.chain.from_iterable(row.values() for row in await cursor.fetchall()))


async def test_order_by_title_reads_the_index(partners: PartnersFixture) -> None:
    statement = build_catalog_statements()[CatalogSort.ALPHABETICAL, False, False]
    assert "partners_by_title" in await explain(partners, statement, ["enable_seqscan", "enable_sort"], after_key="a")


async def test_search_by_title_reads_the_index(partners: PartnersFixture) -> None:
    statement = build_catalog_statements()[CatalogSort.ID, True, False]
    disabled = ["enable_seqscan", "enable_indexscan"]
    assert "products_by_folded_title" in await explain(partners, statement, disabled, pattern="%soup%")


@pytest.mark.parametrize("title", ["İzmir κόσμος", "I\u0307zmir ΚΌΣΜΟΣ", "izmir κο\u0301σμος"])
async def test_product_is_found_by_title_in_any_case_and_form(shop: Shop, title: str) -> None:
    product_id = await shop.add_product(title, 100)
    for q in ("İzmir", "izmir", "IZMIR", "I\u0307ZM", "κόσμοσ", "ΚΌΣΜΟΣ", "κο\u0301σμος"):
        catalog_filter = CatalogFilter(partner_id=shop.partner_id, q=q)
        page = await catalog.list_catalog(shop.partners.repository, now, 1, "", CatalogSort.ID, catalog_filter)
        assert [product["id"] for entry in page.items for product in entry.products] == [product_id], q
