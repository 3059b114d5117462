"""What operations cost when there is a thousand times as much: two meshes side by side, which live through the same."""

import http.client
import json
import random
import secrets
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from standardwebhooks.webhooks import Webhook

from bench.bulk_data import RARE_WORD, READY_ORDER_COUNT, insert_bulk_data
from bench.compare_mesh import encode_page_token
from bench.mesh import FIRST_PARTNER_ID, Mesh, compute_price, running_mesh
from bench.paths import PORT_OFFSET, STATE_DIR
from bench.results import Row, require_at_most

STATS_FLUSH_WAIT_S = 12
"""A backend of PostgreSQL that has nothing to do tells what it has done after ten seconds."""

SMALL_TABLE_ROWS = 1000
"""Rows of a table that may be read from one end to the other: an index would be slower."""

SEQUENTIAL_SCANS_QUERY = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE n_live_tup > %s"


class DataSize(NamedTuple):
    """How much there is."""

    partners: int
    products_per_partner: int
    orders: int


SMALL_DATA, LARGE_DATA = DataSize(10, 10, 1000), DataSize(1000, 100, 1_000_000)


class Workload:
    """What customers, deliverers, admins, banks and partners do with one mesh, timed."""

    def __init__(self, mesh: Mesh, size: DataSize) -> None:
        self._mesh = mesh
        self._size = size
        edge = urlsplit(mesh.config.edge_url)
        self._connection = http.client.HTTPConnection(str(edge.hostname), edge.port)
        self._tokens = {who: mesh.get_access_token(who) for who in ("customer", "deliverer", "admin")}
        self._webhook_secret = (mesh.config.folder / "secrets/demo-webhook.secret").read_text().strip()
        self._delivered_count = 0
        self.latencies_ms: dict[str, list[float]] = defaultdict(list)

    def get_account_id(self, role: str) -> str:
        """The id of a demo account."""
        return str(self._request("getProfile", "GET", "/users/me", role)["id"])

    def run_round(self) -> None:
        """One of everything that is done with what grows."""
        ask = self._request
        pick = FIRST_PARTNER_ID + random.randrange(self._size.partners)
        shown = min(self._size.products_per_partner, 50)
        # As many products on a page, whatever a partner sells: what is compared is finding them.
        after = encode_page_token(FIRST_PARTNER_ID - 1 - random.randrange(FIRST_PARTNER_ID // 2))
        ask("listCatalog", "GET", f"/catalog?page_size={100 // shown}&page_token={after}", "customer")
        ask("listCatalog, q", "GET", f"/catalog?page_size=10&q={RARE_WORD}&page_token={after}", "customer")
        ask("listPartnerProducts", "GET", f"/catalog/{pick}/products?page_size=10", "customer")
        paid, left = self._create_order(), self._create_order()
        ask("getOrder", "GET", f"/orders/{paid}", "customer")
        ask("cancelOrder", "POST", f"/orders/{left}/cancel", "customer", {})
        payment = {
            "payment_id": secrets.token_hex(8),
            "order_id": paid,
            "amount": 2 * compute_price(FIRST_PARTNER_ID),
            "currency": "USD",
        }
        self._send_webhook("paymentCallback", "/callbacks/payments/visa", payment | {"status": "succeeded"})
        for who in ("customer", "deliverer", "admin"):
            ask(f"listOrders, {who}", "GET", "/orders", who)
        ask("listOrders, status", "GET", "/orders?status=ready", "admin")
        ask("listAvailableDeliveries", "GET", "/deliveries", "deliverer")
        self._delivered_count += 1
        ask("assignOrder", "POST", f"/orders/crowd-{self._delivered_count}/assignment", "deliverer")
        ask("completeDelivery", "POST", f"/orders/crowd-{self._delivered_count}/delivery", "deliverer")
        ask("listPartners", "GET", "/partners", "admin")
        ask("getPartner", "GET", f"/partners/{pick}", "admin")
        ask("listProducts", "GET", "/products", "admin")
        # Not the first: orders are checked against its price.
        product = FIRST_PARTNER_ID + 1 + random.randrange(1, self._size.partners * self._size.products_per_partner)
        ask("getProduct", "GET", f"/products/{product}", "admin")
        ask("updateProduct", "PATCH", f"/products/{product}", "admin", {"description": secrets.token_hex(8)})
        offer = {"price": random.randrange(100, 1000), "currency": "USD", "active": True}
        owner = FIRST_PARTNER_ID + (product - FIRST_PARTNER_ID - 1) // self._size.products_per_partner
        ask("setAvailability", "PUT", f"/partners/{owner}/products/{product}", "admin", offer)
        ask("listPartnerCalls", "GET", f"/partner-calls?partner_id={pick}", "admin")

    def _create_order(self) -> str:
        basket = {
            "partner_id": FIRST_PARTNER_ID,
            "items": [{"product_id": FIRST_PARTNER_ID + 1, "quantity": 2}],
            "currency": "USD",
            "total_amount": 2 * compute_price(FIRST_PARTNER_ID),
            "bank_id": "visa",
            "delivery_address": "1 Long Street, Springfield",
        }
        check = self._request("checkOrder", "POST", "/order-checks", "customer", basket)
        made = self._request("confirmOrder", "POST", "/orders", "customer", {"check_id": check["check_id"]})
        return str(made["order"]["id"])

    def _request(self, operation: str, method: str, path: str, role: str, body: object = None) -> Any:
        return self._send_timed(
            operation,
            method,
            path,
            b"" if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._tokens[role]}"},
        )

    def _send_webhook(self, operation: str, path: str, body: object) -> None:
        text, number, now = json.dumps(body), secrets.token_hex(8), datetime.now(UTC)
        headers = {
            "webhook-id": number,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self._webhook_secret).sign(number, now, text),
        }
        self._send_timed(operation, "POST", path, text.encode(), headers)

    def _send_timed(self, operation: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        said = headers | ({"Content-Type": "application/json"} if body else {})
        began = time.perf_counter()
        self._connection.request(method, f"/api/v1{path}", body, said)
        answer = self._connection.getresponse()
        content = answer.read()
        self.latencies_ms[operation].append((time.perf_counter() - began) * 1000)
        if answer.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{operation}: {answer.status} {content.decode()}")
        return json.loads(content) if content else None


def count_sequential_scans(mesh: Mesh) -> dict[str, int]:
    """How often each large table was read from one end to the other."""
    time.sleep(STATS_FLUSH_WAIT_S)
    found: dict[str, int] = {}
    for name in ("orders", "partners", "gateway", "notifications"):
        with mesh.connect_database(name) as connection:
            rows = connection.execute(SEQUENTIAL_SCANS_QUERY, [SMALL_TABLE_ROWS]).fetchall()
            found |= {f"{name}.{table}": int(times) for table, times in rows}
    return found


def run(rounds: int) -> list[Row]:
    """Rounds in turns, the first few uncounted: statements are prepared and pages read."""
    if rounds > READY_ORDER_COUNT - 20:
        raise ValueError("there are not so many orders to deliver")
    with running_mesh() as few, running_mesh(STATE_DIR.with_name("bench-grown"), PORT_OFFSET + 1000) as many:
        lives = {}
        for mesh, size in ((few, SMALL_DATA), (many, LARGE_DATA)):
            life = Workload(mesh, size)
            insert_bulk_data(mesh, life.get_account_id("customer"), life.get_account_id("deliverer"), *size)
            lives[size] = life
        for _ in range(20):
            _run_in_turns(lives, Workload.run_round)
        for life in lives.values():
            life.latencies_ms.clear()
        before = count_sequential_scans(many)
        for _ in range(rounds):
            _run_in_turns(lives, Workload.run_round)
            print(".", end="", flush=True)
        print(flush=True)
        scanned = {table for table, times in count_sequential_scans(many).items() if times > before.get(table, 0)}
    medians = {
        size: {name: statistics.median(took) for name, took in life.latencies_ms.items()}
        for size, life in lives.items()
    }
    slower = {name: medians[LARGE_DATA][name] / medians[SMALL_DATA][name] for name in medians[SMALL_DATA]}
    rows = [
        require_at_most(f"growth: {name}, p50 with {LARGE_DATA.orders:,} orders by {SMALL_DATA.orders:,}", 1.3, [ratio])
        for name, ratio in slower.items()
    ]
    named = ", ".join(sorted(scanned))
    return [
        *rows,
        require_at_most(
            f"growth: large tables read from end to end{': ' if named else ''}{named}", 0, [len(scanned)], "tables"
        ),
    ]


def _run_in_turns(workloads: dict[DataSize, Workload], action: Callable[[Workload], None]) -> None:
    for size in random.sample([*workloads], len(workloads)):
        action(workloads[size])
