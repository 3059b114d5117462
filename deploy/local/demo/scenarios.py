"""The seven demo scenarios, run through the edge as clients and through the sandbox as external systems."""

import httpx
from rich.console import Console
from rich.markup import escape

from deploy.local.demo.scenario_context import ScenarioContext, ScenarioFailed, open_context

DEMO_PASSWORD = "delivery-demo-1"  # noqa: S105 (public password of the demo accounts)
BASKET = {
    "partner_id": 1,
    "items": [{"product_id": 1, "quantity": 2}, {"product_id": 3, "quantity": 1}],
    "total_amount": 1700,
    "currency": "USD",
    "bank_id": "visa",
    "delivery_address": "1 Long Street, Springfield",
}


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


def _wait_for_message(context: ScenarioContext, event: str) -> None:
    """Wait for the effects of a step. Those of two steps at once would share writes, and spans in one of the traces."""
    context.wait_until(
        f"the customer's phone has the message of {event}",
        lambda: any(
            message["data"].get("event") == event
            for message in context.get_from_sandbox(f"/devices/{context.device}/messages")
        ),
    )


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
    _wait_for_message(context, "orders.paid")


def report_ready(context: ScenarioContext) -> None:
    """The order is ready."""
    path = f"/kitchen/{BASKET['partner_id']}/orders/{context.order_id}/ready"
    callback = context.request_sandbox("POST", path, 200, json={"pickup_address": "1 Market Square"})
    if callback["status"] != 202:
        raise ScenarioFailed(f"the partner's callback was rejected: {callback}")
    context.wait_until("the order is ready", lambda: context.get_order()["status"] == "ready")
    _wait_for_message(context, "orders.ready")


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
    _wait_for_message(context, "orders.assigned")
    context.request("POST", f"/orders/{context.order_id}/delivery", 200, user="deliverer")
    _wait_for_message(context, "orders.delivered")
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
            == ["sent"] * 4
        ),
    )


SCENARIOS = (register, list_products, check, confirm, pay, report_ready, deliver)


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
