"""Categories and orders of the catalog, as a visitor sees them."""

from typing import Any

import httpx
import pytest

from tests.e2e.test_error_responses import assert_problem

PRODUCTS_PATH = "/catalog/1/products"


def list_pages(edge: httpx.Client, path: str, **params: Any) -> list[Any]:
    """Return the items of all pages of two."""
    items: list[Any] = []
    while True:
        page = edge.get(path, params={"page_size": 2, **params}).raise_for_status().json()
        items += page["items"]
        if "next_page_token" not in page:
            return items
        params["page_token"] = page["next_page_token"]


@pytest.mark.parametrize("sort", ["price", "price_descending", "alphabetical"])
def test_products_of_partner_are_listed_in_order(edge: httpx.Client, sort: str) -> None:
    products = list_pages(edge, PRODUCTS_PATH, sort=sort)
    key, is_descending = ("title", False) if sort == "alphabetical" else ("price", sort == "price_descending")
    demo_products = [product for product in products if product["id"] <= 4]
    assert [product["id"] for product in demo_products] == [
        product["id"] for product in sorted(demo_products, key=lambda each: each[key], reverse=is_descending)
    ]
    by_id = [product["id"] for product in list_pages(edge, PRODUCTS_PATH)]
    assert by_id == sorted(product["id"] for product in products)


def test_category_selects_products_and_partners(edge: httpx.Client) -> None:
    assert {product["category"] for product in list_pages(edge, PRODUCTS_PATH, category="soups")} == {"soups"}
    for partner in list_pages(edge, "/catalog", category="soups", sort="alphabetical"):
        assert {product["category"] for product in partner["products"]} == {"soups"}
    assert list_pages(edge, "/catalog", category="no-such-category") == []


def test_partners_are_listed_by_title(edge: httpx.Client) -> None:
    titles = {partner["id"]: partner["title"] for partner in list_pages(edge, "/catalog", sort="alphabetical")}
    assert list(titles).index(2) < list(titles).index(1), titles  # Corner Oven, Green Bowl


@pytest.mark.parametrize(
    "params", [{"sort": "size"}, {"sort": "PRICE"}, {"category": "Soups"}, {"category": "a b"}, {"category": "a" * 51}]
)
def test_invalid_order_or_category_returns_400(edge: httpx.Client, params: dict[str, str]) -> None:
    for path in ("/catalog", PRODUCTS_PATH):
        assert_problem(edge.get(path, params=params), 400, "INVALID_REQUEST")


def test_page_token_of_another_order_returns_400(edge: httpx.Client) -> None:
    page = edge.get(PRODUCTS_PATH, params={"page_size": 1, "sort": "price"}).json()
    for sort in ("alphabetical", "price_descending", "id"):
        params = {"page_token": page["next_page_token"], "sort": sort}
        assert_problem(edge.get(PRODUCTS_PATH, params=params), 400, "INVALID_REQUEST")
