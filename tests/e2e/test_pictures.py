"""Product pictures, from an admin's upload to the customers' catalogue."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.test_error_responses import assert_problem
from tests.users import create_image

type Bearer = Callable[[str], dict[str, str]]


def put_picture(edge: httpx.Client, bearer: Bearer, role: str, product_id: int, content: bytes) -> httpx.Response:
    files = {"picture": ("dish.png", content, "image/png")}
    return edge.put(f"/products/{product_id}/picture", files=files, headers=bearer(role))


def get_catalog_product(edge: httpx.Client, bearer: Bearer) -> Any:
    """Return product 4 from the customers' catalogue."""
    partners = edge.get("/catalog", headers=bearer("customer")).json()["items"]
    return next(product for product in partners[0]["products"] if product["id"] == 4)


def test_product_picture_is_uploaded_served_and_replaced(edge: httpx.Client, bearer: Bearer) -> None:
    first = put_picture(edge, bearer, "admin", 4, create_image())
    assert first.status_code == 200, first.text
    url = first.json()["picture_url"]
    assert get_catalog_product(edge, bearer)["picture_url"] == url
    response = edge.get(url.removeprefix("/api/v1"))
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert Image.open(io.BytesIO(response.content)).size == (400, 400)
    not_modified = edge.get(url.removeprefix("/api/v1"), headers={"if-none-match": response.headers["etag"]})
    assert (not_modified.status_code, not_modified.content) == (304, b"")
    second = put_picture(edge, bearer, "admin", 4, create_image(colour="blue")).json()["picture_url"]
    assert get_catalog_product(edge, bearer)["picture_url"] == second != url
    assert_problem(edge.get(url.removeprefix("/api/v1")), 404, "PICTURE_NOT_FOUND")


def test_picture_of_unknown_product_returns_404(edge: httpx.Client, bearer: Bearer) -> None:
    assert_problem(put_picture(edge, bearer, "admin", 999_999, create_image()), 404, "PRODUCT_NOT_FOUND")


def test_picture_upload_by_customer_returns_403(edge: httpx.Client, bearer: Bearer) -> None:
    assert_problem(put_picture(edge, bearer, "customer", 4, create_image()), 403, "FORBIDDEN")


@pytest.mark.parametrize("path", ["/pictures/..%2fsecret", "/pictures/x", "/pictures/" + "a" * 32 + "." + "0" * 64])
def test_invalid_picture_path_returns_400_or_404(edge: httpx.Client, path: str) -> None:
    assert edge.get(path).status_code in (400, 404)


def test_demo_products_have_pictures(edge: httpx.Client, bearer: Bearer) -> None:
    partners = edge.get("/catalog", headers=bearer("customer")).json()["items"]
    demo_products = [product for product in partners[0]["products"] if product["id"] <= 4]
    assert len(demo_products) == 4
    for product in demo_products:
        response = edge.get(product["picture_url"].removeprefix("/api/v1"))
        assert response.headers["content-type"] == "image/webp", product["title"]
