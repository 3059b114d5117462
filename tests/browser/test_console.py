"""Lists of the console with filters and pages, accounts, and the page of an order with its refund."""

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from deploy.local.demo.scenarios import BASKET
from tests.browser.conftest import PHONE, OpenContext, SendRequest, check_accessibility, wait_for_records
from tests.browser.placed_order import place_order
from tests.browser.shop import save_screenshot
from tests.browser.staff import fill, open_page, store_session
from tests.conftest import Mesh
from tests.users import User
from tests.wait import wait_until


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_every_list_is_accessible_and_fits(
    mesh: Mesh, admin_session: dict[str, Any], open_context: OpenContext, device: str
) -> None:
    options = PHONE if device == "phone" else {}
    page = open_context(**options, **store_session(mesh, "console", admin_session)).new_page()
    page.goto(f"{mesh.edge_url}/console")
    links = page.get_by_role("navigation").get_by_role("link")
    expect(links).to_have_count(10)
    for name in links.all_inner_texts():
        open_page(page, name)
        if device == "desktop":
            check_accessibility(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        save_screenshot(page, f"console-{device}-{name.lower().replace(' ', '-')}")


def test_sign_in_of_a_customer_shows_the_reason(mesh: Mesh, open_context: OpenContext, customer: User) -> None:
    page = open_context(locale="de-DE").new_page()
    page.goto(f"{mesh.edge_url}/console")
    page.get_by_label("E-Mail-Adresse").fill(customer.email)
    page.get_by_label("Passwort").fill(customer.password)
    page.get_by_role("button", name="Anmelden").click()
    page.get_by_role("link", name="Konten").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("heading", name="Konten")).to_be_visible()
    check_accessibility(page)


def test_lists_load_further_pages(console: Page, send: SendRequest) -> None:
    existing = len(send("GET", "/products?page_size=21").json()["items"])
    for number in range(existing, 21):
        send("POST", "/products", json={"title": f"Soup {number}", "description": "Hot"})
    open_page(console, "Products")
    rows = console.locator("tbody tr")
    expect(rows).to_have_count(20)
    console.get_by_role("button", name="Show more").click()
    expect(rows.nth(20)).to_be_visible()
    ids = console.locator("tbody tr td:first-child").all_inner_texts()
    assert len(ids) == len(set(ids))


def reverse_items(route: Route) -> None:
    """Respond with the items of a list in the opposite order, as if the list had changed."""
    response = route.fetch()
    page = response.json()
    route.fulfill(response=response, json=page | {"items": page["items"][::-1]})


def test_role_and_block_of_an_account_are_set(console: Page, edge: httpx.Client, sandbox: httpx.Client) -> None:
    last_name = f"Byron {secrets.token_hex(3)}"
    couriers = {user.email: user for user in (User(edge, sandbox, "deliverer", last_name=last_name) for _ in range(2))}
    open_page(console, "Users")
    fill(console, q=last_name)
    console.get_by_role("button", name="Filter").click()
    rows = console.locator("tbody tr")
    expect(rows).to_have_count(2)
    courier = couriers[rows.first.locator("td").nth(1).inner_text()].sign_in()
    rows.first.get_by_role("button", name="Edit").click()
    console.route("**/api/v1/users?*", reverse_items)
    dialog = console.get_by_role("dialog", name=courier.email)
    dialog.get_by_label("Role").select_option("Deliverer")
    check_accessibility(console)
    save_screenshot(console, "console-desktop-user")
    with console.expect_response("**/api/v1/users?*"):
        dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("Saved.")).to_be_visible()
    dialog.get_by_role("button", name="Disable").click()
    expect(dialog.get_by_text("The account cannot sign in.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Disable")).to_have_count(0)
    wait_until(lambda: courier.request("GET", "/users/me").status_code == 401, description="the session has ended")
    dialog.get_by_role("button", name="Enable").click()
    expect(dialog.get_by_text("The account can sign in.")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(rows.last.get_by_role("cell", name="Deliverer", exact=True)).to_be_visible()
    console.go_back()
    expect(console.locator("[name=q]")).to_have_value("")
    assert courier.sign_in().request("GET", "/users/me").json()["role"] == "deliverer"


@pytest.fixture
def rejecting_bank(sandbox: httpx.Client) -> Iterator[None]:
    """Make the bank reject refunds until the end of the test."""
    path = f"/bank/{BASKET['bank_id']}/fault"
    sandbox.put(path, json={"mode": "refuse"}).raise_for_status()
    yield
    sandbox.put(path, json={"mode": "none"}).raise_for_status()


def test_page_of_an_order_shows_everything_and_settles_its_refund(
    console: Page, send: SendRequest, edge: httpx.Client, sandbox: httpx.Client, rejecting_bank: None
) -> None:
    order = place_order(edge, sandbox)
    order.pay()
    wait_for_records(send, order.id, statuses=2, notifications=1)
    console.get_by_label("Status").select_option("paid")
    console.get_by_role("button", name="Filter").click()
    console.get_by_role("link", name=order.id).click()
    expect(console.get_by_role("heading", name=f"Order {order.id}")).to_be_focused()
    for name in ("Items", "History", "Payments", "Partner calls", "Notifications"):
        expect(console.get_by_role("region", name=name)).to_be_visible()
    expect(console.get_by_role("region", name="History").locator("tbody tr")).to_have_count(2)
    href = console.get_by_role("link", name="Traces of this order").get_attribute("href") or ""
    wait_until(
        lambda: order.id in httpx.get(href.replace("/search?", "/api/traces?"), trust_env=False).text,
        description="the traces of the order are exported",
    )
    check_accessibility(console)
    save_screenshot(console, "console-desktop-order")
    fill(console, reason="Out of stock")
    console.get_by_role("button", name="Cancel order").click()
    refunds = console.get_by_role("region", name="Refunds")
    expect(refunds).to_be_visible()
    wait_until(
        lambda: send("GET", f"/refunds?order_id={order.id}").json()["items"][0]["status"] == "failed",
        description="the refund has failed",
    )
    console.reload()
    refunds.get_by_role("button", name="Edit").click()
    fill(console, note="Bank transfer 4711")
    check_accessibility(console)
    console.get_by_role("button", name="Settle").click()
    expect(refunds.get_by_text("Bank transfer 4711")).to_be_visible()
    assert order.read()["refund_status"] == "refunded"
