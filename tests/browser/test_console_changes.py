"""Changes in the console: partners, products, banks and senders, with ETags and secrets that are shown once."""

import secrets

from playwright.sync_api import Page, expect

from tests.browser.conftest import SendRequest, check_accessibility
from tests.browser.shop import save_screenshot
from tests.browser.staff import fill, open_page
from tests.users import create_image


def read_secret(page: Page) -> str:
    """Return the secret that a dialog shows, and close the dialog."""
    dialog = page.get_by_role("dialog", name="Webhook secret")
    expect(dialog.get_by_role("code")).to_contain_text("whsec_")
    check_accessibility(page)
    secret = dialog.get_by_role("code").inner_text()
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    return secret


def test_lost_update_shows_both_versions_and_saves_the_choice(console: Page, send: SendRequest) -> None:
    title = f"Bowls {secrets.token_hex(3)}"
    open_page(console, "Partners")
    console.get_by_role("link", name="New partner").click()
    values = {"brand": "Bowls", "phone": "+12025550101", "email": "bowl@example.com", "address": "1 Market Square"}
    fill(console, title=title, api_url="https://kitchen.example/api", delivery_fee="2.50", **values)
    check_accessibility(console)
    console.get_by_role("button", name="Create").click()
    secret = read_secret(console)
    expect(console.get_by_role("heading", name=title, level=1)).to_be_visible()
    path = f"/partners/{console.url.rpartition('/')[2]}"
    assert send("GET", path).json()["delivery_fee"] == 250
    fill(console, brand="Own brand", address="2 Own Street")
    send("PATCH", path, json={"brand": "Other brand", "phone": "+12025550199"})
    properties = console.locator("form").filter(has_text="Brand")
    properties.get_by_role("button", name="Save").click()
    expect(console.get_by_role("alert")).to_contain_text("Please choose")
    check_accessibility(console)
    save_screenshot(console, "console-desktop-conflict")
    brand = console.get_by_role("group", name="Brand")
    expect(brand).to_contain_text("Other brand")
    expect(brand.get_by_role("radio", name="Own brand")).to_be_checked()
    brand.get_by_role("radio", name="Other brand").check()
    expect(console.get_by_role("group", name="Phone").get_by_role("radio", name="+12025550199")).to_be_checked()
    console.get_by_role("button", name="Save").first.click()
    expect(console.get_by_text("Saved.")).to_be_visible()
    partner = send("GET", path).json()
    chosen = {name: partner[name] for name in ("brand", "address", "phone")}
    assert chosen == {"brand": "Other brand", "address": "2 Own Street", "phone": "+12025550199"}
    console.get_by_role("button", name="New secret").click()
    assert read_secret(console) != secret


def test_partner_gets_hours_picture_and_price(console: Page, send: SendRequest) -> None:
    body = {
        "title": f"Bowls {secrets.token_hex(3)}",
        "brand": "Bowls",
        "phone": "+12025550101",
        "email": "bowl@example.com",
        "address": "1 Market Square",
        "api_url": "https://kitchen.example/api",
        "verified": True,
    }
    path = f"/partners/{send('POST', '/partners', json=body).json()['id']}"
    console.goto(f"{console.url.partition('/console')[0]}/console{path}")
    fill(console, time_zone="Europe/Berlin")
    console.get_by_role("button", name="Add").click()
    console.locator("[name=day]").select_option("Monday")
    fill(console, opens="09:30", closes="17:00")
    check_accessibility(console)
    hours = console.locator("form").filter(has_text="Periods")
    hours.get_by_role("button", name="Save").click()
    expect(hours.get_by_text("Saved.")).to_be_visible()
    periods = [{"day": "monday", "opens": "09:30", "closes": "17:00"}]
    assert send("GET", path).json()["opening_hours"] == {"time_zone": "Europe/Berlin", "periods": periods}
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": create_image()}
    console.locator("input[type=file]").set_input_files(picture)
    console.get_by_role("button", name="Upload").click()
    expect(console.locator("main img")).to_be_visible()
    fill(console, brand="Bowls & Co")
    console.get_by_role("button", name="Save").first.click()
    expect(console.get_by_text("Saved.").first).to_be_visible()
    console.get_by_label("Product", exact=True).select_option("1")
    fill(console, price="12.5")
    console.get_by_role("button", name="Save").last.click()
    expect(console.get_by_role("cell", name="12.50")).to_be_visible()
    check_accessibility(console)
    save_screenshot(console, "console-desktop-partner")
    catalog = send("GET", f"/catalog{path.removeprefix('/partners')}/products").json()["items"]
    assert [(product["id"], product["price"]) for product in catalog] == [(1, 1250)]
    console.get_by_role("button", name="Remove opening hours").click()
    expect(console.get_by_role("button", name="Remove opening hours")).to_have_count(0)
    assert "opening_hours" not in send("GET", path).json()
    console.get_by_role("button", name="Disable").click()
    expect(console.get_by_role("button", name="Disable")).to_have_count(0)
    assert send("GET", path).json()["enabled"] is False


def test_amount_follows_the_decimals_of_its_currency(console: Page, send: SendRequest) -> None:
    open_page(console, "Partners")
    console.get_by_role("link", name="New partner").click()
    values = {"brand": "Ramen", "phone": "+12025550101", "email": "ramen@example.com", "address": "1 Market Square"}
    title = f"Ramen {secrets.token_hex(3)}"
    fill(console, title=title, api_url="https://kitchen.example/api", delivery_fee="300", **values)
    fill(console, delivery_fee_currency="JPY")
    console.get_by_role("button", name="Create").click()
    read_secret(console)
    expect(console.locator("[name=delivery_fee]")).to_have_value("300")
    partner = send("GET", f"/partners/{console.url.rpartition('/')[2]}").json()
    assert (partner["delivery_fee"], partner["delivery_fee_currency"]) == (300, "JPY")
    fill(console, delivery_fee_currency="USD")
    console.get_by_role("button", name="Save").first.click()
    expect(console.get_by_text("Saved.")).to_be_visible()
    assert send("GET", f"/partners/{partner['id']}").json()["delivery_fee"] == 30_000


def test_product_is_created_changed_and_deleted(console: Page, send: SendRequest) -> None:
    title = f"Soup {secrets.token_hex(3)}"
    open_page(console, "Products")
    console.get_by_role("link", name="New product").click()
    fill(console, title=title, description="Hot", category="Not a category")
    console.get_by_role("button", name="Create").click()
    expect(console.locator(".field").filter(has_text="Category").locator(".react-aria-FieldError")).not_to_be_empty()
    check_accessibility(console)
    fill(console, category="soups")
    console.keyboard.press("Tab")
    console.get_by_role("button", name="Create").dblclick()
    expect(console.get_by_role("heading", name=title, level=1)).to_be_visible()
    path = f"/products/{console.url.rpartition('/')[2]}"
    assert send("GET", path).json()["category"] == "soups"
    fill(console, category="")
    console.get_by_role("button", name="Save").click()
    expect(console.get_by_text("Saved.")).to_be_visible()
    assert "category" not in send("GET", path).json()
    console.get_by_role("button", name="Delete").click()
    expect(console.get_by_role("heading", name="Products", level=1)).to_be_visible()


def test_bank_is_created_with_a_secret_and_deactivated(console: Page, send: SendRequest) -> None:
    bank_id = f"bank-{secrets.token_hex(3)}"
    open_page(console, "Banks")
    console.get_by_role("link", name="New bank").click()
    urls = {"webcheckout_url": "https://bank.example/checkout", "api_url": "https://bank.example/api"}
    fill(console, id=bank_id, title="Bank of Springfield", **urls)
    console.get_by_role("button", name="Create").click()
    secret = read_secret(console)
    expect(console.get_by_role("heading", name=bank_id, level=1)).to_be_visible()
    console.get_by_role("button", name="New secret").click()
    assert read_secret(console) != secret
    console.get_by_text("Active").click()
    console.get_by_role("button", name="Save").click()
    expect(console.get_by_text("Saved.")).to_be_visible()
    assert send("GET", f"/banks/{bank_id}").json()["active"] is False
    open_page(console, "Banks")
    console.get_by_label("Active").select_option("No")
    console.get_by_role("button", name="Filter").click()
    expect(console.get_by_role("cell", name="Yes", exact=True)).to_have_count(0)
    more = console.get_by_role("button", name="Show more")
    bank = console.get_by_role("row").filter(has_text=bank_id)
    expect(bank.or_(more).first).to_be_visible()
    while bank.count() == 0:
        more.click()
        expect(console.locator("[data-pending=true]")).to_have_count(0)
    expect(bank.get_by_role("cell", name="No", exact=True)).to_be_visible()
    bank.get_by_role("link").click()
    expect(console.get_by_role("heading", name=bank_id, level=1)).to_be_visible()


def test_sender_is_created_and_changed(console: Page, send: SendRequest) -> None:
    open_page(console, "Senders")
    console.get_by_role("link", name="New sender").click()
    name = f"News {secrets.token_hex(3)}"
    fill(console, name=name, priority="3", ttl_s="3600")
    console.get_by_label("1.").select_option("APNs")
    console.get_by_label("2.").select_option("E-mail")
    console.get_by_text("Quiet hours").last.click()
    fill(console, start="22:00", end="06:00")
    check_accessibility(console)
    save_screenshot(console, "console-desktop-sender")
    console.get_by_role("button", name="Create").click()
    expect(console.get_by_role("heading", name=name, level=1)).to_be_visible()
    path = f"/notification-agents/{console.url.rpartition('/')[2]}"
    sender = send("GET", path).json()
    assert sender["providers"] == ["apns", "email"]
    assert sender["preferences"] == {"ttl_s": 3600, "quiet_hours": {"start": "22:00", "end": "06:00"}}
    console.get_by_text("Quiet hours").last.click()
    console.get_by_text("Enabled").click()
    console.get_by_role("button", name="Save").click()
    expect(console.get_by_text("Saved.")).to_be_visible()
    changed = send("GET", path).json()
    assert (changed["enabled"], changed["preferences"]) == (False, {"ttl_s": 3600})
