"""Fixtures of a headless Chromium browser."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.contract_recorder import ContractRecorder
from tests.browser.staff import create_demo_session, store_session
from tests.conftest import ROOT, Mesh, shift_port
from tests.users import User
from tests.wait import wait_until


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium for one module: while Playwright's event loop runs, asynchronous tests cannot run."""
    program = shutil.which("chromium")
    assert program, "Chromium is missing; `deploy/local/setup.sh browser` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", f"--explicitly-allowed-ports={shift_port(8080)},{shift_port(16686)}"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page. The test fails on page errors, console errors and requests to other hosts."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on(
        "request",
        lambda request: None if is_local(request.url) else errors.append(request.url),
    )
    yield page
    context.close()
    assert not errors


PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
"""Options of a context that emulates a phone."""

EXPECTED_MESSAGES = ("Failed to load resource", "Chrome currently does not support the Push API in incognito mode")
"""Errors of the console that tests cause: responses with an error status, and push in a context without a profile."""

PROBLEM = {
    "type": "/problems/INTERNAL",
    "title": "Internal error",
    "status": 500,
    "detail": "An unexpected error has occurred.",
    "reason": "INTERNAL",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
}
"""Problem document of a server error."""

EXPECT_TIMEOUT_MS = 30_000
"""Time in which a page shows what is expected; most of it is for a busy or just started machine."""

expect.set_options(timeout=EXPECT_TIMEOUT_MS)

type OpenContext = Callable[..., BrowserContext]
"""Function that opens a browser context, with options of Playwright's `new_context`."""


@pytest.fixture
def contract(mesh: Mesh) -> ContractRecorder:
    """Return the recorder of the requests of all contexts of a test."""
    return ContractRecorder(mesh.edge_url)


@pytest.fixture
def open_context(browser: Browser, contract: ContractRecorder) -> Iterator[OpenContext]:
    """Return a function that opens a context of one person.

    The test fails on errors of the pages, on requests to other hosts, and on requests to the API that do not conform
    to the contract.
    """
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def record_message(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(EXPECTED_MESSAGES):
            errors.append(message.text)

    def open_context(**options: Any) -> BrowserContext:
        context = browser.new_context(**({"locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | options))
        context.set_default_timeout(EXPECT_TIMEOUT_MS)
        context.on("console", record_message)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        context.on("request", lambda request: None if is_local(request.url) else errors.append(request.url))
        contract.attach(context)
        contexts.append(context)
        return context

    yield open_context
    violations = [*contract.find_violations()]
    for context in contexts:
        context.close()
    assert not errors
    assert not violations


@pytest.fixture
def customer(edge: httpx.Client, sandbox: httpx.Client) -> User:
    """Return a new customer."""
    return User(edge, sandbox)


type SendRequest = Callable[..., httpx.Response]
"""Function that sends a request of a method to a path, with options of httpx, and raises for error statuses."""


@pytest.fixture(scope="session")
def admin_session(edge: httpx.Client) -> dict[str, Any]:
    """Return a session of the demo admin."""
    return create_demo_session(edge, "admin")


@pytest.fixture(scope="session")
def send(edge: httpx.Client, admin_session: dict[str, Any]) -> SendRequest:
    """Return a function that sends a request as the demo admin."""
    token = admin_session["access_token"]

    def send(method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"}
        return edge.request(method, path, headers=headers, **options).raise_for_status()

    return send


def wait_for_records(send: SendRequest, order_id: str, *, statuses: int, notifications: int) -> None:
    """Wait until an order's history and notifications, which follow from events, have this length."""

    def are_complete() -> bool:
        history = send("GET", f"/orders/{order_id}/history").json()["items"]
        items = send("GET", f"/notifications?order_id={order_id}").json()["items"]
        return (len(history), len(items)) == (statuses, notifications)

    wait_until(are_complete, interval_s=0.1, description="history and notifications are complete")


@pytest.fixture
def console(mesh: Mesh, admin_session: dict[str, Any], open_context: OpenContext) -> Page:
    """Return a page in which the demo admin is signed in."""
    page = open_context(**store_session(mesh, "console", admin_session)).new_page()
    page.goto(f"{mesh.edge_url}/console")
    expect(page.get_by_role("heading", name="Orders")).to_be_visible()
    return page


def is_local(url: str) -> bool:
    """Return whether a URL needs no other host."""
    return "://127.0.0.1" in url or url.startswith(("data:", "blob:"))


def check_accessibility(page: Page) -> None:
    """Raise AssertionError with the violations that axe-core finds on a page."""
    page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    # An announcement that has been read can refer to a button that no longer exists.
    options = {"exclude": ["[data-live-announcer]"]}
    violations = page.evaluate("async (options) => (await axe.run(options)).violations", options)
    assert not violations, [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations]
