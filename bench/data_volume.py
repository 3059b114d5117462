"""Latency of operations with a thousand times the data: two meshes with the same workload."""

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
from bench.compare_mesh import create_page_token
from bench.mesh import FIRST_PARTNER_ID, Mesh, compute_price, run_mesh
from bench.paths import PORT_OFFSET, STATE_DIR
from bench.results import Row, require_at_most
from deploy.local.mesh_config import SERVICES

STATS_FLUSH_WAIT_S = 12
"""An idle PostgreSQL backend flushes its statistics after ten seconds."""

SMALL_TABLE_ROWS = 1000
"""Up to this number of rows a sequential scan is accepted: an index would be slower."""

SEQUENTIAL_SCANS_QUERY = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE n_live_tup > %s"


class DataSize(NamedTuple):
    """Numbers of generated rows."""

    partners: int
    products_per_partner: int
    orders: int


SMALL_DATA, LARGE_DATA = DataSize(10, 10, 1000), DataSize(1000, 100, 1_000_000)


class Workload:
    """Timed requests of customers, deliverers, admins, banks and partners to one mesh."""

    def __init__(self, mesh: Mesh, size: DataSize) -> None:
        self._mesh = mesh
        self._size = size
        edge = urlsplit(mesh.config.edge_url)
        self._connection = http.client.HTTPConnection(str(edge.hostname), edge.port)
        self._tokens = {role: mesh.get_access_token(role) for role in ("customer", "deliverer", "admin")}
        self._webhook_secret = (mesh.config.folder / "secrets/demo-webhook.secret").read_text(encoding="utf-8").strip()
        self._delivered_count = 0
        self.latencies_ms: dict[str, list[float]] = defaultdict(list)

    def get_account_id(self, role: str) -> str:
        """Return the id of a demo account."""
        return str(self._request("getProfile", "GET", "/users/me", role)["id"])

    def run_round(self) -> None:
        """Call every operation whose data grows once."""
        request = self._request
        partner = FIRST_PARTNER_ID + random.randrange(self._size.partners)
        products_shown = min(self._size.products_per_partner, 50)
        # The same number of products on a page at every data size: only the search for them is compared.
        after = create_page_token(self._mesh, FIRST_PARTNER_ID - 1 - random.randrange(FIRST_PARTNER_ID // 2))
        request("listCatalog", "GET", f"/catalog?page_size={100 // products_shown}&page_token={after}", "customer")
        request("listCatalog, q", "GET", f"/catalog?page_size=10&q={RARE_WORD}&page_token={after}", "customer")
        request("listPartnerProducts", "GET", f"/catalog/{partner}/products?page_size=10", "customer")
        paid, cancelled = self._create_order(), self._create_order()
        request("getOrder", "GET", f"/orders/{paid}", "customer")
        completed = f"bulk-{random.randrange(READY_ORDER_COUNT, self._size.orders)}"
        request("getOrderHistory", "GET", f"/orders/{completed}/history", "admin")
        request("listPayments, order", "GET", f"/payments?order_id={completed}", "admin")
        request("listPayments, bank", "GET", "/payments?bank_id=visa", "admin")
        request("listNotifications", "GET", "/notifications?status=sent", "admin")
        request("listMyNotifications", "GET", "/users/me/notifications", "customer")
        request("cancelOrder", "POST", f"/orders/{cancelled}/cancel", "customer", {})
        payment = {
            "payment_id": secrets.token_hex(8),
            "order_id": paid,
            "amount": 2 * compute_price(FIRST_PARTNER_ID),
            "currency": "USD",
        }
        self._send_webhook("paymentCallback", "/callbacks/payments/visa", payment | {"status": "succeeded"})
        for role in ("customer", "deliverer", "admin"):
            request(f"listOrders, {role}", "GET", "/orders", role)
        request("listOrders, status", "GET", "/orders?status=ready", "admin")
        request("listAvailableDeliveries", "GET", "/deliveries", "deliverer")
        self._delivered_count += 1
        request("assignOrder", "POST", f"/orders/bulk-{self._delivered_count}/assignment", "deliverer")
        request("completeDelivery", "POST", f"/orders/bulk-{self._delivered_count}/delivery", "deliverer")
        request("listPartners", "GET", "/partners", "admin")
        request("getPartner", "GET", f"/partners/{partner}", "admin")
        request("listProducts", "GET", "/products", "admin")
        # Not the first product: orders are checked against its price.
        product = FIRST_PARTNER_ID + 1 + random.randrange(1, self._size.partners * self._size.products_per_partner)
        request("getProduct", "GET", f"/products/{product}", "admin")
        request("updateProduct", "PATCH", f"/products/{product}", "admin", {"description": secrets.token_hex(8)})
        offer = {"price": random.randrange(100, 1000), "currency": "USD", "active": True}
        owner = FIRST_PARTNER_ID + (product - FIRST_PARTNER_ID - 1) // self._size.products_per_partner
        request("setAvailability", "PUT", f"/partners/{owner}/products/{product}", "admin", offer)
        request("listPartnerCalls", "GET", f"/partner-calls?partner_id={partner}", "admin")

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
        confirmed = self._request("confirmOrder", "POST", "/orders", "customer", {"check_id": check["check_id"]})
        return str(confirmed["order"]["id"])

    def _request(self, operation: str, method: str, path: str, role: str, body: object = None) -> Any:
        return self._send_timed(
            operation,
            method,
            path,
            b"" if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._tokens[role]}"},
        )

    def _send_webhook(self, operation: str, path: str, body: object) -> None:
        text, message_id, now = json.dumps(body), secrets.token_hex(8), datetime.now(UTC)
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self._webhook_secret).sign(message_id, now, text),
        }
        self._send_timed(operation, "POST", path, text.encode(), headers)

    def _send_timed(self, operation: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        headers = headers | ({"Content-Type": "application/json"} if body else {})
        started_at = time.perf_counter()
        self._connection.request(method, f"/api/v1{path}", body, headers)
        response = self._connection.getresponse()
        content = response.read()
        self.latencies_ms[operation].append((time.perf_counter() - started_at) * 1000)
        if response.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{operation}: {response.status} {content.decode()}")
        return json.loads(content) if content else None


def count_sequential_scans(mesh: Mesh) -> dict[str, int]:
    """Return the number of sequential scans of each large table."""
    time.sleep(STATS_FLUSH_WAIT_S)
    scans: dict[str, int] = {}
    for name in SERVICES:
        with mesh.connect_database(name) as connection:
            rows = connection.execute(SEQUENTIAL_SCANS_QUERY, [SMALL_TABLE_ROWS]).fetchall()
            scans |= {f"{name}.{table}": int(times) for table, times in rows}
    return scans


def run(rounds: int) -> list[Row]:
    """Run rounds on both meshes in turns. The first rounds are a warm-up and are not counted."""
    if rounds > READY_ORDER_COUNT - 20:
        raise ValueError(f"{rounds} rounds: at most {READY_ORDER_COUNT - 20} are possible, one ready order each")
    with run_mesh() as small, run_mesh(STATE_DIR.with_name("bench-large"), PORT_OFFSET - 1000) as large:
        workloads = {}
        for mesh, size in ((small, SMALL_DATA), (large, LARGE_DATA)):
            workload = Workload(mesh, size)
            insert_bulk_data(mesh, workload.get_account_id("customer"), workload.get_account_id("deliverer"), *size)
            workloads[size] = workload
        for _ in range(20):
            _run_in_turns(workloads, Workload.run_round)
        for workload in workloads.values():
            workload.latencies_ms.clear()
        before = count_sequential_scans(large)
        for _ in range(rounds):
            _run_in_turns(workloads, Workload.run_round)
            print(".", end="", flush=True)
        print(flush=True)
        scanned = {table for table, times in count_sequential_scans(large).items() if times > before.get(table, 0)}
    medians = {
        size: {name: statistics.median(latencies_ms) for name, latencies_ms in workload.latencies_ms.items()}
        for size, workload in workloads.items()
    }
    ratios = {name: medians[LARGE_DATA][name] / medians[SMALL_DATA][name] for name in medians[SMALL_DATA]}
    rows = [
        require_at_most(f"volume: {name}, p50 with {LARGE_DATA.orders:,} orders vs {SMALL_DATA.orders:,}", 1.3, [ratio])
        for name, ratio in ratios.items()
    ]
    tables = ", ".join(sorted(scanned))
    return [
        *rows,
        require_at_most(
            f"volume: large tables with sequential scans{': ' if tables else ''}{tables}", 0, [len(scanned)], "tables"
        ),
    ]


def _run_in_turns(workloads: dict[DataSize, Workload], action: Callable[[Workload], None]) -> None:
    for size in random.sample([*workloads], len(workloads)):
        action(workloads[size])
