"""A customer in the shop: stored values of the browser, and the way from the basket to a paid order."""

import json
import os
from typing import Any

from playwright.sync_api import Page, expect

from tests.conftest import Mesh
from tests.users import User

STREET = "1 Long Street, Springfield"
BASKET: dict[str, Any] = {
    "partner": {"id": 1, "title": "Green Bowl"},
    "currency": "USD",
    "delivery_fee": 0,
    "items": [{"product_id": 1, "title": "Lemonade", "price": 100, "quantity": 2}],
}
"""Stored basket with a product of the demo data at its price."""


def build_storage(mesh: Mesh, **values: Any) -> dict[str, Any]:
    """Return the option of a context in which the shop has stored these values, such as `session`."""
    items = [{"name": f"/shop/{name}", "value": json.dumps(value)} for name, value in values.items()]
    return {"storage_state": {"cookies": [], "origins": [{"origin": mesh.edge_url, "localStorage": items}]}}


def sign_in(mesh: Mesh, user: User, **values: Any) -> dict[str, Any]:
    """Return the option of a context in which a user is signed in, with further stored values."""
    return build_storage(mesh, session=user.sign_in().session, **values)


def check_basket(page: Page, mesh: Mesh) -> None:
    """Send the basket for a check, and wait for the page that confirms the order."""
    page.goto(f"{mesh.edge_url}/shop/basket")
    page.get_by_label("Delivery address").fill(STREET)
    page.get_by_label("Pay with").select_option("visa")
    page.get_by_role("button", name="Check order").click()
    expect(page.get_by_role("heading", name="Confirm your order")).to_be_visible()


def pay_at_bank(page: Page) -> str:
    """Confirm the checked order, pay at the bank's page and return to the shop. Return the id of the order."""
    page.get_by_role("button", name="Order and pay").click()
    page.get_by_role("button", name="Pay", exact=True).click()
    page.get_by_role("link", name="Return to the shop").click()
    page.wait_for_url("**/shop/orders/*")
    return page.url.rpartition("/")[2]


def expect_status(page: Page, status: str) -> None:
    """Wait until the page of an order shows a status."""
    expect(page.locator(".status")).to_have_text(status)


def save_screenshot(page: Page, name: str) -> None:
    """Save a screenshot to the folder SCREENSHOTS, if it is set."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
