"""The compiled TypeScript client in a browser, on a page of another origin than the API."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Error, Page

from deploy.local.demo.scenarios import DEMO_PASSWORD
from tests.browser.static_server import running_static_server
from tests.conftest import ROOT, Mesh
from tests.typescript.journeys import assert_journey_result
from tests.typescript_client import compile_client

PAGE = """<!doctype html><meta charset="utf-8"><title>Shop</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {
    "eventsource-parser": "./eventsource-parser.mjs", "openapi-fetch": "./openapi-fetch.mjs"
}}</script>"""

JOURNEY = """async (options) => {
    const [client, { journey }] = await Promise.all([import("./client/index.js"), import("./journey.mjs")]);
    return journey(client, { ...options, pay: window.pay });
}"""


@pytest.fixture
def frontend_dir(tmp_path: Path) -> Path:
    """Create a folder with a page and the client."""
    shutil.copytree(compile_client(), tmp_path / "client")
    shutil.copy(ROOT / "tests/typescript/journey.mjs", tmp_path)
    shutil.copy(ROOT / "node_modules/eventsource-parser/dist/index.js", tmp_path / "eventsource-parser.mjs")
    shutil.copy(ROOT / "node_modules/openapi-fetch/dist/index.mjs", tmp_path / "openapi-fetch.mjs")
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    return tmp_path


def run_journey(page: Page, mesh: Mesh, origin: str) -> dict[str, Any]:
    """Run the journey on a page of an origin, and return its result."""

    def pay(confirmed: dict[str, Any]) -> None:
        order, payment = confirmed["order"], confirmed["payment"]
        body = {"order_id": order["id"], "amount": order["total_amount"], "currency": order["currency"]}
        checkout = {**body, "callback_url": payment["callback_url"], "outcome": "pay"}
        httpx.post(f"{mesh.sandbox_url}/checkout/{order['bank_id']}", json=checkout, trust_env=False).raise_for_status()

    page.expose_function("pay", pay)
    page.goto(origin)
    options = {"baseUrl": f"{mesh.edge_url}/api/v1", "email": "customer@delivery.test", "password": DEMO_PASSWORD}
    result: dict[str, Any] = page.evaluate(JOURNEY, options)
    return result


def test_journey_from_allowed_origin_succeeds(mesh: Mesh, browser: Browser, frontend_dir: Path) -> None:
    with running_static_server(frontend_dir, 5173) as origin, browser.new_context() as context:
        assert_journey_result(run_journey(context.new_page(), mesh, origin))


def test_journey_from_disallowed_origin_is_blocked(mesh: Mesh, browser: Browser, frontend_dir: Path) -> None:
    with (
        running_static_server(frontend_dir, 0) as origin,
        browser.new_context() as context,
        pytest.raises(Error, match="Failed to fetch"),
    ):
        run_journey(context.new_page(), mesh, origin)
