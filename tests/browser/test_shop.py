"""The shop in a browser: from the creation of an account to a delivered order, and the pages of an account."""

import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from deploy.local.demo.scenarios import DEMO_PASSWORD
from tests.browser.conftest import PHONE, OpenContext, check_accessibility
from tests.browser.shop import (
    BASKET,
    STREET,
    build_storage,
    check_basket,
    expect_status,
    pay_at_bank,
    save_screenshot,
    sign_in,
)
from tests.conftest import Mesh
from tests.users import PASSWORD, User, create_image
from tests.wait import wait_until


@pytest.fixture
def courier(edge: httpx.Client) -> Callable[..., httpx.Response]:
    """Return a function that sends a request as the demo deliverer."""
    body = {"email": "deliverer@delivery.test", "password": DEMO_PASSWORD}
    token = edge.post("/sessions", json=body).raise_for_status().json()["access_token"]

    def send(method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"}
        return edge.request(method, path, headers=headers, **options).raise_for_status()

    return send


def sign_up(page: Page, mesh: Mesh, sandbox: httpx.Client) -> str:
    """Create an account with notifications, and confirm its address. Return the token of the device."""
    email = f"ada-{secrets.token_hex(4)}@delivery.test"
    page.goto(f"{mesh.edge_url}/shop/sign-up")
    for label, value in {
        "First name": "Ada",
        "Last name": "Byron",
        "E-mail address": email,
        "Password": PASSWORD,
        "Telephone number": "+4915112345678",
    }.items():
        page.get_by_label(label).fill(value)
    expect(page.get_by_label("Notify me on this device")).to_be_checked()
    check_accessibility(page)
    page.get_by_role("button", name="Create an account").click()
    expect(page.get_by_role("heading", name="Confirm your e-mail address")).to_be_focused()
    mails = wait_until(lambda: sandbox.get(f"/mailbox/{email}").json(), description="the mail arrives")
    page.get_by_label("Code from the mail").fill(mails[0]["code"])
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_text("Your e-mail address is confirmed.")).to_be_visible()
    token: str = page.evaluate("JSON.parse(localStorage.getItem('/shop/device')).token")
    return token


def test_customer_orders_by_phone_and_follows_the_delivery(
    mesh: Mesh, open_context: OpenContext, sandbox: httpx.Client, courier: Callable[..., httpx.Response]
) -> None:
    context = open_context(**PHONE)
    context.grant_permissions(["notifications"], origin=mesh.edge_url)
    page = context.new_page()
    device = sign_up(page, mesh, sandbox)
    page.get_by_role("link", name="To the dishes").click()
    page.get_by_label("Search dishes").fill("lemon")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Lemonade").first).to_be_visible()
    expect(page.get_by_role("heading", name="Margherita")).to_have_count(0)
    page.get_by_role("button", name="Add Lemonade").first.click()
    page.get_by_role("link", name="Basket (1)").click()
    page.get_by_label("Quantity of Lemonade").select_option("3")
    page.get_by_label("Tip for the courier").select_option("200")
    expect(page.locator("dd.total")).to_have_text("US$5.00")
    check_accessibility(page)
    save_screenshot(page, "shop-phone-basket")
    page.get_by_label("Delivery address").fill(STREET)
    page.get_by_label("Message to the restaurant").fill("No ice, please.")
    page.get_by_label("Pay with").select_option("visa")
    page.get_by_role("button", name="Check order").click()
    expect(page.get_by_role("heading", name="Confirm your order")).to_be_focused()
    check_accessibility(page)
    order_id = pay_at_bank(page)
    expect_status(page, "Being prepared")
    save_screenshot(page, "shop-phone-order")
    sandbox.post(f"/kitchen/1/orders/{order_id}/ready", json={"pickup_address": "1 Market Square"}).raise_for_status()
    expect_status(page, "Ready for pick-up")
    courier("POST", f"/orders/{order_id}/assignment")
    expect_status(page, "On the way")
    courier("PUT", f"/orders/{order_id}/deliverer-position", json={"latitude": 52.5, "longitude": 13.4})
    expect(page.get_by_text("52.50000, 13.40000")).to_be_visible()
    check_accessibility(page)
    courier("POST", f"/orders/{order_id}/delivery")
    expect_status(page, "Delivered")
    page.get_by_role("link", name="Notifications").click()
    expect(page.get_by_role("listitem").filter(has_text="delivered")).not_to_have_count(0)
    check_accessibility(page)
    wait_until(
        lambda: (
            "orders.delivered" in {each["data"]["event"] for each in sandbox.get(f"/devices/{device}/messages").json()}
        ),
        description="the phone has the message",
    )


def test_visitor_browses_and_signs_in_at_the_basket(mesh: Mesh, open_context: OpenContext, customer: User) -> None:
    page = open_context().new_page()
    page.goto(f"{mesh.edge_url}/shop")
    expect(page.get_by_role("button", name="Add Margherita").first).to_be_visible()
    wait_until(
        lambda: page.evaluate("[...document.images].some((image) => image.complete && image.naturalWidth > 0)"),
        description="a picture is loaded",
    )
    check_accessibility(page)
    save_screenshot(page, "shop-desktop-catalog")
    page.get_by_role("navigation", name="Categories").get_by_role("link", name="pizzas").click()
    expect(page.get_by_role("button", name="Add Lemonade")).to_have_count(0)
    page.get_by_role("button", name="Add Margherita").first.click()
    page.get_by_role("button", name="Add Margherita").nth(1).click()
    expect(page.get_by_role("dialog", name="Start a new basket?")).to_be_visible()
    check_accessibility(page)
    page.get_by_role("dialog").get_by_role("button", name="Start a new basket").click()
    page.get_by_role("link", name="Basket (1)").click()
    page.get_by_label("E-mail address").fill(customer.email)
    password = page.get_by_label("Password")
    expect(password).to_have_attribute("type", "password")
    expect(password).to_have_attribute("autocomplete", "current-password")
    password.fill("not-the-password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Your name")).to_have_value("Ada Byron")


def test_customer_cancels_a_pending_order(mesh: Mesh, open_context: OpenContext, customer: User) -> None:
    page = open_context(**sign_in(mesh, customer, basket=BASKET)).new_page()
    check_basket(page, mesh)
    page.get_by_role("button", name="Order and pay").click()
    page.get_by_role("button", name="Pay", exact=True).wait_for()
    page.goto(f"{mesh.edge_url}/shop/orders")
    page.get_by_role("link", name="Green Bowl").click()
    expect_status(page, "Awaiting payment")
    page.get_by_role("button", name="Cancel order").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("Changed my mind")
    check_accessibility(page)
    page.get_by_role("dialog").get_by_role("button", name="Cancel order").click()
    expect_status(page, "Cancelled")
    expect(page.get_by_text("Changed my mind").first).to_be_visible()


def test_profile_is_changed_and_the_account_deleted(mesh: Mesh, open_context: OpenContext, customer: User) -> None:
    page = open_context(**sign_in(mesh, customer)).new_page()
    page.goto(f"{mesh.edge_url}/shop/profile")
    page.get_by_label("Last name").fill("Lovelace")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a picture").click()
    chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": create_image()})
    expect(page.get_by_role("img", name="Your picture")).to_be_visible()
    check_accessibility(page)
    save_screenshot(page, "shop-desktop-profile")
    profile = customer.request("GET", "/users/me").json()
    assert profile["last_name"] == "Lovelace"
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill("another-long-one")
    page.get_by_role("button", name="Change password").click()
    wait_until(lambda: customer.request("GET", "/users/me").status_code == 401, description="the old session has ended")
    expect(page.get_by_role("button", name="Change password")).not_to_have_attribute("data-pending", "true")
    page.get_by_role("button", name="Delete account").click()
    page.get_by_role("dialog").get_by_label("Password").fill("another-long-one")
    page.get_by_role("dialog").get_by_role("button", name="Delete account").click()
    expect(page.get_by_text("Your account is deleted.")).to_be_visible()
    assert page.evaluate("localStorage.getItem('/shop/session')") is None


def test_password_is_reset_with_a_mailed_code(mesh: Mesh, open_context: OpenContext, customer: User) -> None:
    customer.wait_for_code()
    page = open_context().new_page()
    page.goto(f"{mesh.edge_url}/shop/sign-in")
    page.get_by_role("link", name="Reset the password").click()
    page.get_by_label("E-mail address").fill(customer.email)
    page.get_by_role("button", name="Send a code").click()
    page.get_by_label("Code from the mail").fill(customer.wait_for_code(2))
    page.get_by_label("New password").fill("password")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_be_visible()
    check_accessibility(page)
    page.get_by_label("New password").fill("another-long-one")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("The password is changed.")).to_be_visible()
    page.get_by_label("E-mail address").fill(customer.email)
    page.get_by_label("Password").fill("another-long-one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Profile")).to_be_visible()


def test_email_address_is_changed_with_a_mailed_code(mesh: Mesh, open_context: OpenContext, customer: User) -> None:
    email = f"grace-{secrets.token_hex(4)}@delivery.test"
    page = open_context(**sign_in(mesh, customer)).new_page()
    page.goto(f"{mesh.edge_url}/shop/profile")
    page.get_by_label("New e-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Change e-mail address").click()
    page.get_by_label("Code from the mail").fill(customer.wait_for_code(address=email))
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_text("Your e-mail address is confirmed.")).to_be_visible()
    page.get_by_role("link", name="Profile").click()
    expect(page.get_by_text(email)).to_be_visible()


def test_german_browser_shows_german_texts_and_details(mesh: Mesh, open_context: OpenContext, customer: User) -> None:
    changed = BASKET | {"items": [BASKET["items"][0] | {"price": 1}]}
    page = open_context(locale="de-DE", **PHONE, **sign_in(mesh, customer, basket=changed)).new_page()
    page.goto(f"{mesh.edge_url}/shop/basket")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.get_by_label("Lieferadresse").fill(STREET)
    page.get_by_role("button", name="Bestellung prüfen").click()
    expect(page.get_by_role("alert")).to_contain_text("2,00")
    page.get_by_role("button", name="Aktuelle Preise übernehmen").click()
    expect(page.get_by_text("Die Preise haben sich geändert.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    check_accessibility(page)
    save_screenshot(page, "shop-phone-german")
    page.get_by_role("button", name="Bestellung prüfen").click()
    expect(page.get_by_role("heading", name="Bestellung bestätigen")).to_be_visible()


@pytest.mark.parametrize("path", ["", "/basket", "/sign-in", "/sign-up", "/reset-password", "/nothing"])
def test_page_of_visitors_is_accessible_and_fits_a_phone(mesh: Mesh, open_context: OpenContext, path: str) -> None:
    page = open_context(**PHONE, **build_storage(mesh, basket=BASKET)).new_page()
    page.goto(f"{mesh.edge_url}/shop{path}")
    expect(page.locator("h1")).to_be_visible()
    page.wait_for_load_state("networkidle")
    check_accessibility(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    save_screenshot(page, f"shop-phone{path.replace('/', '-') or '-catalog'}")
