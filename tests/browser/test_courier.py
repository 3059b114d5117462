"""The courier's app: ready orders, navigation, reports of the position, and the end of a delivery."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, OpenContext, SendRequest, check_accessibility
from tests.browser.placed_order import COORDINATES, PlacedOrder, place_order
from tests.browser.shop import save_screenshot
from tests.browser.staff import create_courier, create_demo_session, find_ready_order, sign_in, store_session
from tests.conftest import Mesh
from tests.users import User


@pytest.fixture
def ready(edge: httpx.Client, sandbox: httpx.Client) -> PlacedOrder:
    """Return an order that waits for a courier."""
    order = place_order(edge, sandbox)
    order.pay()
    order.report_ready()
    return order


def take(page: Page, order: PlacedOrder) -> None:
    """Take an order, and wait for its page."""
    find_ready_order(page, order.delivery_address).get_by_role("button", name="Take order").click()
    expect(page.get_by_role("heading", name=order.delivery_address)).to_be_visible()


def test_courier_delivers_and_shares_the_position(mesh: Mesh, open_context: OpenContext, ready: PlacedOrder) -> None:
    moved = {"latitude": 40.5, "longitude": -89.0}
    context = open_context(**PHONE, geolocation=COORDINATES, permissions=["geolocation"])
    page = context.new_page()
    sign_in(page, mesh, "courier", "deliverer")
    find_ready_order(page, ready.delivery_address)
    check_accessibility(page)
    save_screenshot(page, "courier-phone-list")
    take(page, ready)
    expect(page.get_by_text("Your position is shared")).to_be_visible()
    check_accessibility(page)
    save_screenshot(page, "courier-phone-order")
    link = page.get_by_role("link", name="Navigate").get_attribute("href") or ""
    assert link.startswith(f"geo:{COORDINATES['latitude']},{COORDINATES['longitude']}?q=")
    expect(page.get_by_role("link", name="Call")).to_have_attribute("href", "tel:+12025550123")
    with ready.watch_positions() as positions:
        assert next(positions) == COORDINATES
        context.set_geolocation(moved)
        assert next(positions) == moved
    page.get_by_role("button", name="Delivered").click()
    expect(page.get_by_text("Thank you!")).to_be_visible()
    assert ready.read()["status"] == "delivered"


def test_courier_without_position_permission_delivers(
    mesh: Mesh, edge: httpx.Client, open_context: OpenContext, ready: PlacedOrder
) -> None:
    page = open_context(**store_session(mesh, "courier", create_demo_session(edge, "deliverer"))).new_page()
    page.goto(f"{mesh.edge_url}/courier")
    take(page, ready)
    expect(page.get_by_text("Your position is not shared")).to_be_visible()
    check_accessibility(page)
    save_screenshot(page, "courier-desktop-denied")
    page.reload()
    page.get_by_role("button", name="Delivered").dblclick()
    expect(page.get_by_text("Thank you!")).to_be_visible()


def test_order_taken_by_another_courier_shows_the_reason(
    mesh: Mesh,
    edge: httpx.Client,
    sandbox: httpx.Client,
    send: SendRequest,
    open_context: OpenContext,
    ready: PlacedOrder,
) -> None:
    other = create_courier(User(edge, sandbox, "deliverer"), send)
    page = open_context(
        locale="de-DE", **store_session(mesh, "courier", create_demo_session(edge, "deliverer"))
    ).new_page()
    page.goto(f"{mesh.edge_url}/courier")
    item = find_ready_order(page, ready.delivery_address, "Abholbereite Bestellungen", "Mehr anzeigen")
    page.route("**/api/v1/deliveries*", lambda _: None)  # The list does not change before the click.
    other.request("POST", f"/orders/{ready.id}/assignment").raise_for_status()
    item.get_by_role("button", name="Bestellung übernehmen").click()
    expect(item.get_by_role("alert")).to_contain_text("Bestellung")
    check_accessibility(page)
    save_screenshot(page, "courier-desktop-german")


def test_account_without_role_shows_the_reason(
    mesh: Mesh, edge: httpx.Client, sandbox: httpx.Client, open_context: OpenContext
) -> None:
    user = User(edge, sandbox, "deliverer")
    page = open_context().new_page()
    page.goto(f"{mesh.edge_url}/courier")
    page.get_by_label("E-mail address").fill(user.email)
    page.get_by_label("Password").fill(user.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
