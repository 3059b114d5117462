"""The page of the API: offline, readable, and good for trying things out after a sign-in."""

import os
from typing import Any

from playwright.sync_api import Page, expect

from tests.conftest import Mesh


def execute(page: Page, operation: str) -> Any:
    """Opens an operation and executes it with its example; what it answered, which the page shows."""
    block = page.locator(f"[id$='-{operation}']")
    block.locator(".opblock-summary-control").first.click()
    with page.expect_response(lambda answer: "/api/v1/" in answer.url) as answered:
        block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    return answered.value.json()


def test_it_is_tried_out_after_a_sign_in(mesh: Mesh, page: Page) -> None:
    page.goto(f"{mesh.edge_url}/docs")
    expect(page.get_by_role("heading", name="Delivery")).to_be_visible()
    expect(page.locator(".opblock")).not_to_have_count(0)
    session = execute(page, "signIn")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").first.fill(session["access_token"])
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply").first.click()
    page.get_by_role("button", name="Close").first.click()
    catalog = execute(page, "listCatalog")
    assert [partner["id"] for partner in catalog["items"]][:2] == [1, 2]
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/docs.png")


def test_every_address_of_it(mesh: Mesh, page: Page) -> None:
    for path in ("/docs", "/docs/", "/docs/index.html"):
        answer = page.goto(f"{mesh.edge_url}{path}")
        assert answer is not None
        assert answer.status == 200
        assert "unpkg" not in answer.text()
        expect(page.locator(".opblock")).not_to_have_count(0)


def test_every_reason_of_an_error_is_explained(mesh: Mesh, page: Page) -> None:
    page.goto(f"{mesh.edge_url}/problems/")
    page.get_by_role("link", name="ORDER_NOT_FOUND").click()
    expect(page.get_by_role("heading", name="Order not found")).to_be_visible()
    page.get_by_role("link", name="All problems").click()
    expect(page.get_by_role("heading", name="Problems")).to_be_visible()
