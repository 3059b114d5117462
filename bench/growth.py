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

from bench.contest import token
from bench.crowd import RARE, READY, gather
from bench.mesh import FIRST, Mesh, price, up
from bench.places import OFFSET, STATE
from bench.results import Row, at_most

FLUSHED_S = 12
"""A backend of PostgreSQL that has nothing to do tells what it has done after ten seconds."""

SMALL = 1000
"""Rows of a table that may be read from one end to the other: an index would be slower."""

SCANS = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE n_live_tup > %s"


class Size(NamedTuple):
    """How much there is."""

    partners: int
    each: int
    orders: int


FEW, MANY = Size(10, 10, 1000), Size(1000, 100, 1_000_000)


class Life:
    """What customers, deliverers, admins, banks and partners do with one mesh, timed."""

    def __init__(self, mesh: Mesh, size: Size) -> None:
        self._mesh = mesh
        self._size = size
        edge = urlsplit(mesh.state.edge)
        self._connection = http.client.HTTPConnection(str(edge.hostname), edge.port)
        self._tokens = {who: mesh.token(who) for who in ("customer", "deliverer", "admin")}
        self._secret = (mesh.state.folder / "secrets/demo-webhook.secret").read_text().strip()
        self._ready = 0
        self.took: dict[str, list[float]] = defaultdict(list)

    def me(self, who: str) -> str:
        """The id of a demo account."""
        return str(self._ask("getProfile", "GET", "/users/me", who)["id"])

    def round(self) -> None:
        """One of everything that is done with what grows."""
        ask = self._ask
        pick = FIRST + random.randrange(self._size.partners)
        shown = min(self._size.each, 50)
        # As many products on a page, whatever a partner sells: what is compared is finding them.
        after = token(FIRST - 1 - random.randrange(FIRST // 2))
        ask("listCatalog", "GET", f"/catalog?page_size={100 // shown}&page_token={after}", "customer")
        ask("listCatalog, q", "GET", f"/catalog?page_size=10&q={RARE}&page_token={after}", "customer")
        ask("listPartnerProducts", "GET", f"/catalog/{pick}/products?page_size=10", "customer")
        paid, left = self._order(), self._order()
        ask("getOrder", "GET", f"/orders/{paid}", "customer")
        ask("cancelOrder", "POST", f"/orders/{left}/cancel", "customer", {})
        payment = {"payment_id": secrets.token_hex(8), "order_id": paid, "amount": 2 * price(FIRST), "currency": "USD"}
        self._signed("paymentCallback", "/callbacks/payments/visa", payment | {"status": "succeeded"})
        for who in ("customer", "deliverer", "admin"):
            ask(f"listOrders, {who}", "GET", "/orders", who)
        ask("listOrders, status", "GET", "/orders?status=ready", "admin")
        ask("listAvailableDeliveries", "GET", "/deliveries", "deliverer")
        self._ready += 1
        ask("assignOrder", "POST", f"/orders/crowd-{self._ready}/assignment", "deliverer")
        ask("completeDelivery", "POST", f"/orders/crowd-{self._ready}/delivery", "deliverer")
        ask("listPartners", "GET", "/partners", "admin")
        ask("getPartner", "GET", f"/partners/{pick}", "admin")
        ask("listProducts", "GET", "/products", "admin")
        # Not the first: orders are checked against its price.
        product = FIRST + 1 + random.randrange(1, self._size.partners * self._size.each)
        ask("getProduct", "GET", f"/products/{product}", "admin")
        ask("updateProduct", "PATCH", f"/products/{product}", "admin", {"description": secrets.token_hex(8)})
        offer = {"price": random.randrange(100, 1000), "currency": "USD", "active": True}
        owner = FIRST + (product - FIRST - 1) // self._size.each
        ask("setAvailability", "PUT", f"/partners/{owner}/products/{product}", "admin", offer)
        ask("listPartnerCalls", "GET", f"/partner-calls?partner_id={pick}", "admin")

    def _order(self) -> str:
        basket = {
            "partner_id": FIRST,
            "items": [{"product_id": FIRST + 1, "quantity": 2}],
            "currency": "USD",
            "total_amount": 2 * price(FIRST),
            "bank_id": "visa",
            "delivery_address": "1 Long Street, Springfield",
        }
        check = self._ask("checkOrder", "POST", "/order-checks", "customer", basket)
        made = self._ask("confirmOrder", "POST", "/orders", "customer", {"check_id": check["check_id"]})
        return str(made["order"]["id"])

    def _ask(self, name: str, method: str, path: str, who: str, body: object = None) -> Any:
        return self._timed(
            name,
            method,
            path,
            b"" if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._tokens[who]}"},
        )

    def _signed(self, name: str, path: str, body: object) -> None:
        text, number, now = json.dumps(body), secrets.token_hex(8), datetime.now(UTC)
        headers = {
            "webhook-id": number,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self._secret).sign(number, now, text),
        }
        self._timed(name, "POST", path, text.encode(), headers)

    def _timed(self, name: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        said = headers | ({"Content-Type": "application/json"} if body else {})
        began = time.perf_counter()
        self._connection.request(method, f"/api/v1{path}", body, said)
        answer = self._connection.getresponse()
        content = answer.read()
        self.took[name].append((time.perf_counter() - began) * 1000)
        if answer.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{name}: {answer.status} {content.decode()}")
        return json.loads(content) if content else None


def scans(mesh: Mesh) -> dict[str, int]:
    """How often each large table was read from one end to the other."""
    time.sleep(FLUSHED_S)
    found: dict[str, int] = {}
    for name in ("orders", "partners", "gateway", "notifications"):
        with mesh.database(name) as connection:
            rows = connection.execute(SCANS, [SMALL]).fetchall()
            found |= {f"{name}.{table}": int(times) for table, times in rows}
    return found


def run(rounds: int) -> list[Row]:
    """Rounds in turns, the first few uncounted: statements are prepared and pages read."""
    if rounds > READY - 20:
        raise ValueError("there are not so many orders to deliver")
    with up() as few, up(STATE.with_name("bench-grown"), OFFSET + 1000) as many:
        lives = {}
        for mesh, size in ((few, FEW), (many, MANY)):
            life = Life(mesh, size)
            gather(mesh, life.me("customer"), life.me("deliverer"), *size)
            lives[size] = life
        for _ in range(20):
            _turn(lives, Life.round)
        for life in lives.values():
            life.took.clear()
        before = scans(many)
        for _ in range(rounds):
            _turn(lives, Life.round)
            print(".", end="", flush=True)
        print(flush=True)
        scanned = {table for table, times in scans(many).items() if times > before.get(table, 0)}
    medians = {
        size: {name: statistics.median(took) for name, took in life.took.items()} for size, life in lives.items()
    }
    slower = {name: medians[MANY][name] / medians[FEW][name] for name in medians[FEW]}
    rows = [
        at_most(f"growth: {name}, p50 with {MANY.orders:,} orders by {FEW.orders:,}", 1.3, [ratio])
        for name, ratio in slower.items()
    ]
    named = ", ".join(sorted(scanned))
    return [
        *rows,
        at_most(
            f"growth: large tables read from end to end{': ' if named else ''}{named}", 0, [len(scanned)], "tables"
        ),
    ]


def _turn(lives: dict[Size, Life], what: Callable[[Life], None]) -> None:
    for size in random.sample([*lives], len(lives)):
        what(lives[size])
