"""The seven scenarios, driven from outside: through the edge as clients do, and by the sandbox as the world does."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
from rich.console import Console

DEMO_PASSWORD = "delivery-demo-1"  # noqa: S105 (the demo accounts', known to all)
TIMEOUT_S = 15.0
"""Seconds until something that should happen in the background counts as not happening."""

BASKET = {
    "partner_id": 1,
    "items": [{"product_id": 1, "quantity": 2}, {"product_id": 3, "quantity": 1}],
    "total_amount": 1700,
    "currency": "USD",
    "bank_id": "visa",
    "delivery_address": "1 Long Street, Springfield",
}


class Step(NamedTuple):
    """One request of ours, or of the world's, and the trace it made. `name` is "POST /orders/{order_id}/cancel"."""

    scenario: str
    actor: str
    name: str
    status: int
    trace_id: str


class ScenarioFailed(Exception):
    """What was expected did not happen; the message says what came instead."""


@dataclass
class ScenarioContext:
    """The two doors, and what the scenarios hand on to each other."""

    edge: httpx.Client
    sandbox: httpx.Client
    console: Console
    traces_url: str = ""
    """Where traces are shown; with it each step says its trace's address."""
    scenario: str = ""
    steps: list[Step] = field(default_factory=list)
    email: str = field(default_factory=lambda: f"ada-{secrets.token_hex(4)}@delivery.test")
    device: str = field(default_factory=lambda: f"phone-{secrets.token_hex(4)}")
    tokens: dict[str, str] = field(default_factory=dict)
    check_id: str = ""
    order_id: str = ""
    checkout: dict[str, Any] = field(default_factory=dict)

    def request(self, method: str, path: str, expected_status: int, *, user: str | None = None, **body: Any) -> Any:
        """One request through the edge, shown with its status, time and trace."""
        headers = {"authorization": f"Bearer {self.tokens[user]}"} if user else {}
        return self._send_request(
            self.edge, user or "visitor", method, f"/api/v1{path}", expected_status, headers=headers, **body
        )

    def sandbox_request(self, method: str, path: str, expected_status: int, **body: Any) -> Any:
        """One request to the sandbox, as the world's."""
        actor = "bank" if path.startswith("/checkout") else "partner system"
        return self._send_request(self.sandbox, actor, method, path, expected_status, **body)

    def _send_request(
        self, client: httpx.Client, actor: str, method: str, path: str, expected_status: int, **options: Any
    ) -> Any:
        started = time.perf_counter()
        answer = client.request(method, path, **options)
        milliseconds = (time.perf_counter() - started) * 1000
        name = f"{method} {path.partition('?')[0]}"
        name = name.replace(self.order_id, "{order_id}") if self.order_id else name
        made = [Step(self.scenario, actor, name, said, trace) for said, trace in self._extract_traces(client, answer)]
        self.steps += made
        good = answer.status_code == expected_status
        self.console.print(
            f"    [dim]{method:6}[/] {path.split('?', maxsplit=1)[0]:<58} "
            f"[{'green' if good else 'red'}]{answer.status_code}[/] [dim]{milliseconds:6.0f} ms[/]",
            highlight=False,
        )
        for step in made:
            self.console.print(f"           [dim]{self.traces_url}/trace/{step.trace_id}[/]", highlight=False)
        if not good:
            raise ScenarioFailed(
                f"{method} {path} answered {answer.status_code}, not {expected_status}: {answer.text[:400]}"
            )
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None

    def _extract_traces(self, client: httpx.Client, response: httpx.Response) -> list[tuple[int, str]]:
        """Status and trace of an answer of ours, or of the callbacks that the world sent for it."""
        if client is self.edge:
            parts = response.headers.get("traceresponse", "").split("-")
            return [(response.status_code, parts[1])] if len(parts) == 4 else []
        said = response.json() if "json" in response.headers.get("content-type", "") else {}
        callbacks = said.get("callbacks", [said]) if isinstance(said, dict) else []
        return [(callback["status"], callback["trace_id"]) for callback in callbacks if "trace_id" in callback]

    def run_scenario(self, scenario: Callable[["ScenarioContext"], None]) -> None:
        """One scenario. Raises ScenarioFailed."""
        self.scenario = scenario.__name__
        scenario(self)

    def wait_until(self, description: str, probe: Callable[[], Any]) -> Any:
        """Asks until the answer is true. Raises ScenarioFailed when patience ends."""
        started = time.perf_counter()
        while not (found := probe()):
            if time.perf_counter() - started > TIMEOUT_S:
                raise ScenarioFailed(f"{description}: not after {TIMEOUT_S:.0f} seconds")
            time.sleep(0.05)
        self.console.print(
            f"    [dim]await [/] {description:<58} [green]ok[/]  [dim]{(time.perf_counter() - started) * 1000:6.0f} ms[/]",
            highlight=False,
        )
        return found

    def get_order(self, user: str = "customer") -> Any:
        """The order as its customer sees it, quietly."""
        headers = {"authorization": f"Bearer {self.tokens[user]}"}
        return self.edge.get(f"/api/v1/orders/{self.order_id}", headers=headers).json()

    def sandbox_get(self, path: str) -> Any:
        """What the sandbox shows, quietly."""
        return self.sandbox.get(path).json()


def register(context: ScenarioContext) -> None:
    """A customer registers."""
    body = {
        "email": context.email,
        "password": DEMO_PASSWORD,
        "first_name": "Ada",
        "last_name": "Byron",
        "role": "customer",
        "notif_token": context.device,
        "locale": "en",
    }
    context.request("POST", "/users", 201, json=body)
    mails = context.wait_until(
        "the verification mail arrives", lambda: context.sandbox_get(f"/mailbox/{context.email}")
    )
    context.request("POST", "/users/confirm", 204, json={"code": mails[0]["code"]})
    session = context.request("POST", "/sessions", 200, json={"email": context.email, "password": DEMO_PASSWORD})
    session = context.request("POST", "/sessions/refresh", 200, json={"refresh_token": session["refresh_token"]})
    context.tokens["customer"] = session["access_token"]
    context.request("GET", "/users/me", 200, user="customer")


def list_products(context: ScenarioContext) -> None:
    """The customer lists products."""
    catalog = context.request("GET", "/catalog", 200, user="customer")
    partner = next((item for item in catalog["items"] if item["id"] == BASKET["partner_id"]), None)
    ids = [product["id"] for product in partner["products"]] if partner else []
    if len(ids) < 4 or len(ids) != len(set(ids)):
        raise ScenarioFailed(f"the demo partner's products are missing or there twice: {catalog}")


def check(context: ScenarioContext) -> None:
    """The customer checks an order."""
    context.request("POST", "/order-checks", 422, user="customer", json={**BASKET, "total_amount": 1})
    context.check_id = context.request("POST", "/order-checks", 201, user="customer", json=BASKET)["check_id"]


def confirm(context: ScenarioContext) -> None:
    """The customer confirms it."""
    context.request("GET", "/banks", 200, user="customer")
    confirmed = context.request("POST", "/orders", 201, user="customer", json={"check_id": context.check_id})
    again = context.request("POST", "/orders", 201, user="customer", json={"check_id": context.check_id})
    context.order_id = confirmed["order"]["id"]
    if confirmed["order"]["status"] != "pending" or again["order"]["id"] != context.order_id:
        raise ScenarioFailed(f"confirming did not give one pending order: {confirmed}, {again}")
    context.checkout = confirmed["payment"]


def pay(context: ScenarioContext) -> None:
    """The customer pays, and the partner's system is told."""
    bank, partner = BASKET["bank_id"], BASKET["partner_id"]
    body = {
        "order_id": context.order_id,
        "amount": BASKET["total_amount"],
        "currency": BASKET["currency"],
        "callback_url": context.checkout["callback_url"],
        "outcome": "pay",
    }
    paid = context.sandbox_request("POST", f"/checkout/{bank}", 200, json=body)
    if [callback["status"] for callback in paid["callbacks"]] != [200]:
        raise ScenarioFailed(f"the bank's callback was refused: {paid}")
    if context.request("GET", f"/orders/{context.order_id}", 200, user="customer")["status"] != "paid":
        raise ScenarioFailed("the order is not paid")
    told = context.wait_until(
        "the partner's kitchen has the order",
        lambda: [
            order
            for order in context.sandbox_get(f"/kitchen/{partner}/orders")
            if order["body"]["order_id"] == context.order_id
        ],
    )
    if not told[0]["signature_valid"]:
        raise ScenarioFailed(f"the partner was told without a valid signature: {told}")


def ready(context: ScenarioContext) -> None:
    """The order is ready."""
    path = f"/kitchen/{BASKET['partner_id']}/orders/{context.order_id}/ready"
    answer = context.sandbox_request("POST", path, 200, json={"pickup_address": "1 Market Square"})
    if answer["status"] != 202:
        raise ScenarioFailed(f"the partner's callback was refused: {answer}")
    context.wait_until("the order is ready", lambda: context.get_order()["status"] == "ready")


def deliver(context: ScenarioContext) -> None:
    """A deliverer takes it, and the customer is told."""
    session = context.request(
        "POST", "/sessions", 200, json={"email": "deliverer@delivery.test", "password": DEMO_PASSWORD}
    )
    context.tokens["deliverer"] = session["access_token"]
    path, found, token = "/deliveries?page_size=100", False, None
    while not found:
        page = context.request("GET", path + (f"&page_token={token}" if token else ""), 200, user="deliverer")
        found = any(order["id"] == context.order_id for order in page["items"])
        token = page.get("next_page_token")
        if not found and token is None:
            raise ScenarioFailed("the order is not among the deliveries")
    context.request("POST", f"/orders/{context.order_id}/assignment", 200, user="deliverer")
    context.request("POST", f"/orders/{context.order_id}/delivery", 200, user="deliverer")
    events = {"orders.paid", "orders.ready", "orders.assigned", "orders.delivered"}
    context.wait_until(
        "the customer's phone shows each step",
        lambda: (
            events
            <= {message["data"].get("event") for message in context.sandbox_get(f"/devices/{context.device}/messages")}
        ),
    )
    headers = {"authorization": f"Bearer {context.tokens['customer']}"}
    context.wait_until(
        "the history holds each step",
        lambda: (
            [
                entry["status"]
                for entry in context.edge.get(f"/api/v1/orders/{context.order_id}/history", headers=headers).json()[
                    "items"
                ]
            ]
            == ["pending", "paid", "ready", "delivering", "delivered"]
        ),
    )
    context.wait_until(
        "the notifications are saved as sent",
        lambda: (
            [
                item["status"]
                for item in context.edge.get("/api/v1/users/me/notifications", headers=headers).json()["items"]
            ]
            == ["sent"] * len(events)
        ),
    )


SCENARIOS = (register, list_products, check, confirm, pay, ready, deliver)


@contextmanager
def open_context(edge_url: str, sandbox_url: str, console: Console, traces_url: str = "") -> Iterator[ScenarioContext]:
    """A world with nobody signed up yet."""
    with (
        httpx.Client(base_url=edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=sandbox_url, timeout=20, trust_env=False) as sandbox,
    ):
        yield ScenarioContext(edge, sandbox, console, traces_url)


def main(edge_url: str, sandbox_url: str, traces_url: str) -> int:
    """Drives all seven and prints each step; 0 when all passed, 1 with what failed otherwise."""
    console = Console(soft_wrap=True)
    passed = 0
    with open_context(edge_url, sandbox_url, console, traces_url) as world:
        for number, scenario in enumerate(SCENARIOS, 1):
            console.print(f"[bold]{number}. {scenario.__doc__}[/]")
            try:
                world.run_scenario(scenario)
            except (ScenarioFailed, httpx.HTTPError) as error:
                console.print(f"[red bold]   failed:[/] {error}", highlight=False, markup=True)
                break
            passed += 1
    console.print(f"{passed}/{len(SCENARIOS)} scenarios passed", highlight=False)
    return 0 if passed == len(SCENARIOS) else 1
