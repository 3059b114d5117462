"""Products' pictures, from an admin's upload to a customer's screen."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.test_error_responses import problem
from tests.users import create_image

type Bearer = Callable[[str], dict[str, str]]


def put(edge: httpx.Client, bearer: Bearer, who: str, product_id: int, content: bytes) -> httpx.Response:
    files = {"picture": ("dish.png", content, "image/png")}
    return edge.put(f"/products/{product_id}/picture", files=files, headers=bearer(who))


def shown(edge: httpx.Client, bearer: Bearer) -> Any:
    """Product 4 as customers see it."""
    partners = edge.get("/catalog", headers=bearer("customer")).json()["items"]
    return next(product for product in partners[0]["products"] if product["id"] == 4)


def test_a_products_picture(edge: httpx.Client, bearer: Bearer) -> None:
    first = put(edge, bearer, "admin", 4, create_image())
    assert first.status_code == 200, first.text
    url = first.json()["picture_url"]
    assert shown(edge, bearer)["picture_url"] == url
    got = edge.get(url.removeprefix("/api/v1"))
    assert got.headers["content-type"] == "image/webp"
    assert got.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert Image.open(io.BytesIO(got.content)).size == (400, 400)
    again = edge.get(url.removeprefix("/api/v1"), headers={"if-none-match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    second = put(edge, bearer, "admin", 4, create_image(colour="blue")).json()["picture_url"]
    assert shown(edge, bearer)["picture_url"] == second != url
    problem(edge.get(url.removeprefix("/api/v1")), 404, "PICTURE_NOT_FOUND")


def test_a_picture_without_a_product_leaves_nothing(edge: httpx.Client, bearer: Bearer) -> None:
    problem(put(edge, bearer, "admin", 999_999, create_image()), 404, "PRODUCT_NOT_FOUND")


def test_only_admins_set_pictures(edge: httpx.Client, bearer: Bearer) -> None:
    problem(put(edge, bearer, "customer", 4, create_image()), 403, "FORBIDDEN")


@pytest.mark.parametrize("path", ["/pictures/..%2fsecret", "/pictures/x", "/pictures/" + "a" * 32 + "." + "0" * 64])
def test_other_names_are_no_pictures(edge: httpx.Client, path: str) -> None:
    assert edge.get(path).status_code in (400, 404)
