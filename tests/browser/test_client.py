"""The compiled TypeScript client in a browser, on a page of another origin."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Error, Page

from deploy.local.demo.scenarios import DEMO_PASSWORD
from tests.conftest import ROOT, Mesh
from tests.typescript.journeys import assert_journey_result
from tests.typescript_client import compile_client

PAGE = """<!doctype html><meta charset="utf-8"><title>Shop</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {"openapi-fetch": "./openapi-fetch.mjs"}}</script>"""

JOURNEY = """async (told) => {
    const [client, { journey }] = await Promise.all([import("./client/index.js"), import("./journey.mjs")]);
    return journey(client, { ...told, pay: window.pay });
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what it serves."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def log_message(self, *args: object) -> None:
        """Nothing."""


@contextmanager
def serving(folder: Path, port: int) -> Iterator[str]:
    """A frontend's own origin."""
    with ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A page with the client beside it."""
    shutil.copytree(compile_client(), tmp_path / "client")
    shutil.copy(ROOT / "tests/typescript/journey.mjs", tmp_path)
    shutil.copy(ROOT / "node_modules/openapi-fetch/dist/index.mjs", tmp_path / "openapi-fetch.mjs")
    (tmp_path / "index.html").write_text(PAGE)
    return tmp_path


def travel(page: Page, mesh: Mesh, origin: str) -> dict[str, Any]:
    """The journey, by a page of that origin."""

    def pay(bought: dict[str, Any]) -> None:
        order, payment = bought["order"], bought["payment"]
        body = {"order_id": order["id"], "amount": order["total_amount"], "currency": order["currency"]}
        told = {**body, "callback_url": payment["callback_url"], "outcome": "pay"}
        httpx.post(f"{mesh.sandbox_url}/checkout/{order['bank_id']}", json=told, trust_env=False).raise_for_status()

    page.expose_function("pay", pay)
    page.goto(origin)
    told = {"baseUrl": f"{mesh.edge_url}/api/v1", "email": "customer@delivery.test", "password": DEMO_PASSWORD}
    seen: dict[str, Any] = page.evaluate(JOURNEY, told)
    return seen


def test_a_journey_on_a_page_that_may(mesh: Mesh, browser: Browser, shop: Path) -> None:
    with serving(shop, 5173) as origin, browser.new_context() as context:
        assert_journey_result(travel(context.new_page(), mesh, origin))


def test_no_journey_on_a_page_that_may_not(mesh: Mesh, browser: Browser, shop: Path) -> None:
    with serving(shop, 0) as origin, browser.new_context() as context, pytest.raises(Error, match="Failed to fetch"):
        travel(context.new_page(), mesh, origin)
