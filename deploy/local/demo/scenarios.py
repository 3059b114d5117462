"""The seven demo scenarios, run through the edge as clients and through the sandbox as external systems."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
from rich.console import Console
from rich.markup import escape

DEMO_PASSWORD = "delivery-demo-1"  # noqa: S105 (public password of the demo accounts)
TIMEOUT_S = 15.0
"""Seconds to wait for an asynchronous effect before the scenario fails."""

BASKET = {
    "partner_id": 1,
    "items": [{"product_id": 1, "quantity": 2}, {"product_id": 3, "quantity": 1}],
    "total_amount": 1700,
    "currency": "USD",
    "bank_id": "visa",
    "delivery_address": "1 Long Street, Springfield",
}


class Step(NamedTuple):
    """Request of a scenario and its trace. Example of `name`: "POST /orders/{order_id}/cancel"."""

    scenario: str
    actor: str
    name: str
    status: int
    trace_id: str


class ScenarioFailed(Exception):
    """A scenario had an unexpected result, which the message describes."""


@dataclass
class ScenarioContext:
    """HTTP clients of the edge and the sandbox, and state that scenarios pass to each other."""

    edge: httpx.Client
    sandbox: httpx.Client
    console: Console
    traces_url: str = ""
    """Base URL of the trace viewer, for links to traces in the output; empty for no links."""
    scenario: str = ""
    steps: list[Step] = field(default_factory=list)
    email: str = field(default_factory=lambda: f"ada-{secrets.token_hex(4)}@delivery.test")
    device: str = field(default_factory=lambda: f"phone-{secrets.token_hex(4)}")
    tokens: dict[str, str] = field(default_factory=dict)
    check_id: str = ""
    order_id: str = ""
    checkout: dict[str, Any] = field(default_factory=dict)

    def request(self, method: str, path: str, expected_status: int, *, user: str | None = None, **body: Any) -> Any:
        """Send a request to the edge, print its status, duration and trace, and return the JSON body.

        Raises ScenarioFailed for another status.
        """
        headers = {"authorization": f"Bearer {self.tokens[user]}"} if user else {}
        return self._send_request(
            self.edge, user or "visitor", method, f"/api/v1{path}", expected_status, headers=headers, **body
        )

    def request_sandbox(self, method: str, path: str, expected_status: int, **body: Any) -> Any:
        """Send a request to the sandbox, which makes it act as an external system; otherwise as `request`."""
        actor = "bank" if path.startswith("/checkout") else "partner system"
        return self._send_request(self.sandbox, actor, method, path, expected_status, **body)

    def _send_request(
        self, client: httpx.Client, actor: str, method: str, path: str, expected_status: int, **options: Any
    ) -> Any:
        started_at = time.perf_counter()
        response = client.request(method, path, **options)
        duration_ms = (time.perf_counter() - started_at) * 1000
        name = f"{method} {path.partition('?')[0]}"
        name = name.replace(self.order_id, "{order_id}") if self.order_id else name
        traces = self._extract_traces(client, response)
        steps = [Step(self.scenario, actor, name, status, trace_id) for status, trace_id in traces]
        self.steps += steps
        is_expected = response.status_code == expected_status
        self.console.print(
            f"    [dim]{method:6}[/] {path.split('?', maxsplit=1)[0]:<58} "
            f"[{'green' if is_expected else 'red'}]{response.status_code}[/] [dim]{duration_ms:6.0f} ms[/]",
            highlight=False,
        )
        for step in steps:
            self.console.print(f"           [dim]{self.traces_url}/trace/{step.trace_id}[/]", highlight=False)
        if not is_expected:
            raise ScenarioFailed(
                f"{method} {path} returned {response.status_code}, expected {expected_status}: {response.text[:400]}"
            )
        return response.json() if response.content and "json" in response.headers.get("content-type", "") else None

    def _extract_traces(self, client: httpx.Client, response: httpx.Response) -> list[tuple[int, str]]:
        """Return status and trace id of a response of the edge, or of the callbacks that the sandbox sent."""
        if client is self.edge:
            parts = response.headers.get("traceresponse", "").split("-")
            return [(response.status_code, parts[1])] if len(parts) == 4 else []
        body = response.json() if "json" in response.headers.get("content-type", "") else {}
        callbacks = body.get("callbacks", [body]) if isinstance(body, dict) else []
        return [(callback["status"], callback["trace_id"]) for callback in callbacks if "trace_id" in callback]

    def run_scenario(self, scenario: Callable[["ScenarioContext"], None]) -> None:
        """Run a scenario. Raises ScenarioFailed."""
        self.scenario = scenario.__name__
        scenario(self)

    def wait_until(self, description: str, probe: Callable[[], Any]) -> Any:
        """Poll until the probe returns a true value, and return it. Raises ScenarioFailed after TIMEOUT_S."""
        started_at = time.perf_counter()
        while not (result := probe()):
            if time.perf_counter() - started_at > TIMEOUT_S:
                raise ScenarioFailed(f"{description}: timeout after {TIMEOUT_S:.0f} seconds")
            time.sleep(0.05)
        duration_ms = (time.perf_counter() - started_at) * 1000
        self.console.print(
            f"    [dim]await [/] {description:<58} [green]ok[/]  [dim]{duration_ms:6.0f} ms[/]",
            highlight=False,
        )
        return result

    def get_order(self, user: str = "customer") -> Any:
        """Return the order as a user, without output."""
        headers = {"authorization": f"Bearer {self.tokens[user]}"}
        return self.edge.get(f"/api/v1/orders/{self.order_id}", headers=headers).json()

    def get_from_sandbox(self, path: str) -> Any:
        """Return the JSON body of a sandbox path, without output."""
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
        "the verification mail arrives", lambda: context.get_from_sandbox(f"/mailbox/{context.email}")
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
        raise ScenarioFailed(f"the demo partner's products are missing or duplicated: {catalog}")


def check(context: ScenarioContext) -> None:
    """The customer checks an order."""
    context.request("POST", "/order-checks", 422, user="customer", json={**BASKET, "total_amount": 1})
    context.check_id = context.request("POST", "/order-checks", 201, user="customer", json=BASKET)["check_id"]


def confirm(context: ScenarioContext) -> None:
    """The customer confirms it."""
    context.request("GET", "/banks", 200, user="customer")
    confirmed = context.request("POST", "/orders", 201, user="customer", json={"check_id": context.check_id})
    repeated = context.request("POST", "/orders", 201, user="customer", json={"check_id": context.check_id})
    context.order_id = confirmed["order"]["id"]
    if confirmed["order"]["status"] != "pending" or repeated["order"]["id"] != context.order_id:
        raise ScenarioFailed(f"confirming twice did not return one pending order: {confirmed}, {repeated}")
    context.checkout = confirmed["payment"]


def pay(context: ScenarioContext) -> None:
    """The customer pays, and the partner's system is notified."""
    bank, partner = BASKET["bank_id"], BASKET["partner_id"]
    body = {
        "order_id": context.order_id,
        "amount": BASKET["total_amount"],
        "currency": BASKET["currency"],
        "callback_url": context.checkout["callback_url"],
        "outcome": "pay",
    }
    paid = context.request_sandbox("POST", f"/checkout/{bank}", 200, json=body)
    if [callback["status"] for callback in paid["callbacks"]] != [200]:
        raise ScenarioFailed(f"the bank's callback was rejected: {paid}")
    if context.request("GET", f"/orders/{context.order_id}", 200, user="customer")["status"] != "paid":
        raise ScenarioFailed("the order is not paid")
    received = context.wait_until(
        "the partner's kitchen has the order",
        lambda: [
            order
            for order in context.get_from_sandbox(f"/kitchen/{partner}/orders")
            if order["body"]["order_id"] == context.order_id
        ],
    )
    if not received[0]["signature_valid"]:
        raise ScenarioFailed(f"the partner received an invalid signature: {received}")


def report_ready(context: ScenarioContext) -> None:
    """The order is ready."""
    path = f"/kitchen/{BASKET['partner_id']}/orders/{context.order_id}/ready"
    callback = context.request_sandbox("POST", path, 200, json={"pickup_address": "1 Market Square"})
    if callback["status"] != 202:
        raise ScenarioFailed(f"the partner's callback was rejected: {callback}")
    context.wait_until("the order is ready", lambda: context.get_order()["status"] == "ready")


def deliver(context: ScenarioContext) -> None:
    """A deliverer delivers the order, and the customer is notified."""
    session = context.request(
        "POST", "/sessions", 200, json={"email": "deliverer@delivery.test", "password": DEMO_PASSWORD}
    )
    context.tokens["deliverer"] = session["access_token"]
    path, is_listed, page_token = "/deliveries?page_size=100", False, None
    while not is_listed:
        query = f"&page_token={page_token}" if page_token else ""
        page = context.request("GET", path + query, 200, user="deliverer")
        is_listed = any(order["id"] == context.order_id for order in page["items"])
        page_token = page.get("next_page_token")
        if not is_listed and page_token is None:
            raise ScenarioFailed("the order is not among the deliveries")
    context.request("POST", f"/orders/{context.order_id}/assignment", 200, user="deliverer")
    context.request("POST", f"/orders/{context.order_id}/delivery", 200, user="deliverer")
    events = {"orders.paid", "orders.ready", "orders.assigned", "orders.delivered"}
    context.wait_until(
        "the customer's phone has a message for each event",
        lambda: (
            events
            <= {
                message["data"].get("event")
                for message in context.get_from_sandbox(f"/devices/{context.device}/messages")
            }
        ),
    )
    headers = {"authorization": f"Bearer {context.tokens['customer']}"}
    context.wait_until(
        "the history contains each status",
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
        "the notifications have status sent",
        lambda: (
            [
                item["status"]
                for item in context.edge.get("/api/v1/users/me/notifications", headers=headers).json()["items"]
            ]
            == ["sent"] * len(events)
        ),
    )


SCENARIOS = (register, list_products, check, confirm, pay, report_ready, deliver)


@contextmanager
def open_context(edge_url: str, sandbox_url: str, console: Console, traces_url: str = "") -> Iterator[ScenarioContext]:
    """Open the HTTP clients and yield a context without a session; close them at the end."""
    with (
        httpx.Client(base_url=edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=sandbox_url, timeout=20, trust_env=False) as sandbox,
    ):
        yield ScenarioContext(edge, sandbox, console, traces_url)


def main(edge_url: str, sandbox_url: str, traces_url: str) -> int:
    """Run all scenarios and print each step. Return 0 if all passed, else 1."""
    console = Console(soft_wrap=True)
    passed = 0
    with open_context(edge_url, sandbox_url, console, traces_url) as context:
        for number, scenario in enumerate(SCENARIOS, 1):
            console.print(f"[bold]{number}. {scenario.__doc__}[/]")
            try:
                context.run_scenario(scenario)
            except (ScenarioFailed, httpx.HTTPError) as error:
                console.print(f"[red bold]   failed:[/] {escape(str(error))}", highlight=False)
                break
            passed += 1
    console.print(f"{passed}/{len(SCENARIOS)} scenarios passed", highlight=False)
    return 0 if passed == len(SCENARIOS) else 1
