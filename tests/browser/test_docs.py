"""The API documentation page: works offline, and executes requests after sign-in."""

import os
from typing import Any

import yaml
from playwright.sync_api import Page, expect

from tests.conftest import Mesh


def execute_example(page: Page, operation: str) -> Any:
    """Execute an operation with its example, and return the response, which the page must show."""
    block = page.locator(f"[id$='-{operation}']")
    block.locator(".opblock-summary-control").first.click()
    with page.expect_response(lambda response: "/api/v1/" in response.url) as response_info:
        block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    return response_info.value.json()


def test_docs_execute_operation_after_sign_in(mesh: Mesh, page: Page) -> None:
    page.goto(f"{mesh.edge_url}/docs")
    expect(page.get_by_role("heading", name="Delivery", level=1)).to_be_visible()
    expect(page.locator(".opblock")).not_to_have_count(0)
    session = execute_example(page, "signIn")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").first.fill(session["access_token"])
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply").first.click()
    page.get_by_role("button", name="Close").first.click()
    catalog = execute_example(page, "listCatalog")
    assert [partner["id"] for partner in catalog["items"]][:2] == [1, 2]
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/docs.png")


def test_docs_link_the_document_of_webhooks(mesh: Mesh, page: Page) -> None:
    page.goto(f"{mesh.edge_url}/docs")
    link = page.get_by_role("link", name="webhooks")
    response = page.request.get(f"{mesh.edge_url}{link.get_attribute('href')}")
    assert response.ok
    document = yaml.load(response.text(), Loader=yaml.CSafeLoader)
    assert {"sendOrder", "cancelPartnerOrder", "requestRefund"} <= document["webhooks"].keys()


def test_every_docs_url_loads(mesh: Mesh, page: Page) -> None:
    for path in ("/docs", "/docs/", "/docs/index.html"):
        response = page.goto(f"{mesh.edge_url}{path}")
        assert response is not None
        assert response.status == 200
        assert "unpkg" not in response.text()
        expect(page.locator(".opblock")).not_to_have_count(0)


def test_every_problem_reason_has_a_page(mesh: Mesh, page: Page) -> None:
    page.goto(f"{mesh.edge_url}/problems/")
    page.get_by_role("link", name="ORDER_NOT_FOUND").click()
    expect(page.get_by_role("heading", name="Order not found")).to_be_visible()
    page.get_by_role("link", name="All problems").click()
    expect(page.get_by_role("heading", name="Problems")).to_be_visible()
