"""The seven scenarios by clicking alone: a customer, a courier and an admin in their apps, others in the sandbox."""

import secrets

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PHONE, OpenContext, SendRequest, wait_for_records
from tests.browser.placed_order import COORDINATES
from tests.browser.shop import check_basket, expect_status, pay_at_bank, save_screenshot
from tests.browser.staff import find_ready_order, sign_in
from tests.conftest import Mesh
from tests.users import PASSWORD
from tests.wait import wait_until


def reload_until(page: Page, locator: Locator, count: int) -> None:
    """Reload a page of the sandbox until it contains this number of elements."""
    wait_until(lambda: page.reload() is not None and locator.count() == count, interval_s=0.2)


def register(page: Page, mesh: Mesh, email: str) -> None:
    """Create an account in the shop, and confirm its address with the code from the sandbox's mailbox."""
    page.goto(mesh.edge_url)
    page.get_by_role("link", name="Shop").click()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Create an account").click()
    names = {"First name": "Grace", "Last name": "Hopper", "E-mail address": email, "Password": PASSWORD}
    for label, value in names.items():
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Create an account").click()
    expect(page.get_by_role("heading", name="Confirm your e-mail address")).to_be_visible()
    mailbox = page.context.new_page()
    mailbox.goto(f"{mesh.sandbox_url}/mailbox?address={email}")
    code = mailbox.locator("code.code")
    reload_until(mailbox, code, 1)
    page.get_by_label("Code from the mail").fill(code.inner_text())
    mailbox.close()
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_text("Your e-mail address is confirmed.")).to_be_visible()


def cook(page: Page, mesh: Mesh, order_id: str) -> None:
    """Report the order as ready in the sandbox's kitchen."""
    page.goto(f"{mesh.sandbox_url}/kitchen/1")
    card = page.locator(".card").filter(has_text=order_id)
    expect(card).to_contain_text("Lemonade")
    card.get_by_role("button", name="Ready").click()
    expect(card.locator(".response")).to_contain_text("202")


def test_customer_courier_and_admin_complete_the_seven_scenarios(
    mesh: Mesh, open_context: OpenContext, send: SendRequest
) -> None:
    email = f"grace-{secrets.token_hex(4)}@delivery.test"
    phone = open_context(**PHONE, permissions=["notifications"])
    customer, admin = phone.new_page(), open_context().new_page()
    courier = open_context(**PHONE, geolocation=COORDINATES, permissions=["geolocation"]).new_page()

    register(customer, mesh, email)
    customer.get_by_role("link", name="To the dishes").click()
    customer.get_by_role("button", name="Add Lemonade").first.click()
    check_basket(customer, mesh)
    order_id = pay_at_bank(customer)
    expect_status(customer, "Being prepared")

    sign_in(admin, mesh, "console", "admin")
    admin.get_by_label("Status").select_option("paid")
    admin.get_by_role("button", name="Filter").click()
    admin.get_by_role("link", name=order_id).click()
    expect(admin.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()

    cook(phone.new_page(), mesh, order_id)
    expect_status(customer, "Ready for pick-up")

    sign_in(courier, mesh, "courier", "deliverer")
    find_ready_order(courier, order_id).get_by_role("button", name="Take order").click()
    expect(courier.get_by_text("Your position is shared")).to_be_visible()
    expect_status(customer, "On the way")
    expect(customer.get_by_text("39.78000, -89.65000")).to_be_visible()
    courier.get_by_role("button", name="Delivered").click()
    expect(courier.get_by_text("Thank you!")).to_be_visible()
    expect_status(customer, "Delivered")
    save_screenshot(customer, "three-people-customer")

    customer.get_by_role("link", name="Profile").click()
    with phone.expect_page() as opened:
        customer.get_by_role("link", name="Open the emulated device").click()
    device = opened.value
    reload_until(device, device.locator(".push"), 4)
    save_screenshot(device, "three-people-device")

    wait_for_records(send, order_id, statuses=5, notifications=4)
    admin.reload()
    history = admin.get_by_role("region", name="History").locator("tbody tr")
    expect(history).to_have_count(5)
    expect(admin.get_by_role("region", name="Notifications").locator("tbody tr")).to_have_count(4)
    save_screenshot(admin, "three-people-admin")
