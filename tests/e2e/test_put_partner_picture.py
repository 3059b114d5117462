"""putPartnerPicture: Set a partner's picture."""

import io
from collections.abc import Callable

import httpx
import pytest
from PIL import Image

from tests.e2e.test_error_responses import assert_problem
from tests.users import create_image
from tests.wait import wait_until

type Bearer = Callable[[str], dict[str, str]]

PARTNER = {
    "title": "Picture Palace",
    "brand": "Palace",
    "phone": "+12025550109",
    "email": "palace@delivery.test",
    "address": "3 Gallery Road",
    "api_url": "https://palace.example/api",
}


def put_picture(edge: httpx.Client, bearer: Bearer, path: str, content: bytes) -> httpx.Response:
    return edge.put(f"{path}/picture", files={"picture": ("front.png", content, "image/png")}, headers=bearer("admin"))


def wait_for_catalog_picture(edge: httpx.Client, url: str) -> None:
    """Wait until the visitors' catalogue contains the picture of partner 2."""

    def is_in_catalog() -> bool:
        (partner,) = edge.get("/catalog", params={"partner_id": 2}).json()["items"]
        return partner.get("picture_url") == url

    wait_until(is_in_catalog, description="the catalog contains the picture")


def test_put_partner_picture_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.request("PUT", "/partners/1/picture").status_code == 401


@pytest.mark.parametrize("role", ["customer", "deliverer"])
def test_put_partner_picture_with_other_role_returns_403(edge: httpx.Client, bearer: Bearer, role: str) -> None:
    assert edge.request("PUT", "/partners/1/picture", headers=bearer(role)).status_code == 403


def test_partner_picture_is_uploaded_served_and_replaced(edge: httpx.Client, bearer: Bearer) -> None:
    first = put_picture(edge, bearer, "/partners/2", create_image())
    assert first.status_code == 200, first.text
    url = first.json()["picture_url"]
    wait_for_catalog_picture(edge, url)
    image = edge.get(url.removeprefix("/api/v1"))
    assert Image.open(io.BytesIO(image.content)).size == (400, 400)
    second = put_picture(edge, bearer, "/partners/2", create_image(colour="blue")).json()["picture_url"]
    assert second != url
    wait_for_catalog_picture(edge, second)
    assert_problem(edge.get(url.removeprefix("/api/v1")), 404, "PICTURE_NOT_FOUND")


def test_partner_picture_is_removed_with_null(edge: httpx.Client, bearer: Bearer) -> None:
    external = {"picture_url": "https://pictures.example/palace.png"}
    created = edge.post("/partners", json=PARTNER | external, headers=bearer("admin"))
    assert created.json()["picture_url"] == external["picture_url"]
    path = created.headers["location"].removeprefix("/api/v1")
    assert put_picture(edge, bearer, path, create_image()).json()["picture_url"].startswith("/api/v1/partner-pictures/")
    changed = edge.patch(path, json={"picture_url": None}, headers=bearer("admin"))
    assert "picture_url" not in changed.json()


def test_file_that_is_no_picture_returns_422(edge: httpx.Client, bearer: Bearer) -> None:
    assert_problem(put_picture(edge, bearer, "/partners/2", b"no image"), 422, "PICTURE_REFUSED")
