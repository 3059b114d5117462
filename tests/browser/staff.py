"""Couriers and admins in their apps."""

import json
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect

from deploy.local.demo.scenarios import DEMO_PASSWORD
from tests.conftest import Mesh
from tests.users import User


def sign_in(page: Page, mesh: Mesh, app: str, name: str) -> None:
    """Sign in to an app with a demo account."""
    page.goto(f"{mesh.edge_url}/{app}")
    page.get_by_label("E-mail address").fill(f"{name}@delivery.test")
    page.get_by_label("Password").fill(DEMO_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def create_demo_session(edge: httpx.Client, name: str) -> dict[str, Any]:
    """Return a new session of a demo account."""
    body = {"email": f"{name}@delivery.test", "password": DEMO_PASSWORD}
    session: dict[str, Any] = edge.post("/sessions", json=body).raise_for_status().json()
    return session


def create_courier(user: User, send: Callable[..., httpx.Response]) -> User:
    """Assign the role of couriers to a new account, and sign it in. `send` sends a request as an admin."""
    send("PUT", f"/users/{user.id}/role", json={"role": "deliverer"})
    return user.sign_in()


def store_session(mesh: Mesh, app: str, session: dict[str, Any]) -> dict[str, Any]:
    """Return the option of a context in which an app has stored a session."""
    items = [{"name": f"/{app}/session", "value": json.dumps(session)}]
    return {"storage_state": {"cookies": [], "origins": [{"origin": mesh.edge_url, "localStorage": items}]}}


def find_ready_order(page: Page, text: str, list_name: str = "Ready orders", more_name: str = "Show more") -> Locator:
    """Return the item of a ready order in the courier's list, after as many pages of the list as needed."""
    item = page.get_by_role("list", name=list_name).get_by_role("listitem").filter(has_text=text)
    more = page.get_by_role("button", name=more_name)
    expect(item.or_(more).first).to_be_visible()
    while item.count() == 0:
        more.last.click()
        expect(page.locator("[data-pending=true]")).to_have_count(0)
    return item


def open_page(page: Page, name: str) -> None:
    """Open a page by the navigation, and wait for its list."""
    page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    expect(page.get_by_role("table").or_(page.get_by_text("Nothing found."))).to_be_visible()


def fill(page: Page, **values: str) -> None:
    """Fill fields, whose names are those of the contract."""
    for name, value in values.items():
        page.locator(f"[name={name}]").fill(value)
