"""getPaymentInstructions: Read the payment instructions of a pending order."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext


def test_get_payment_instructions_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.request("GET", "/orders/1/payment").status_code == 401


@pytest.mark.parametrize("role", ["deliverer", "admin"])
def test_get_payment_instructions_with_other_role_returns_403(
    edge: httpx.Client, bearer: Callable[[str], dict[str, str]], role: str
) -> None:
    assert edge.request("GET", "/orders/1/payment", headers=bearer(role)).status_code == 403


def test_get_payment_instructions(pending: ScenarioContext) -> None:
    """They equal those of `confirmOrder` until the order is no longer pending."""
    path = f"/orders/{pending.order_id}/payment"
    assert pending.request("GET", path, 200, user="customer") == pending.checkout
    pending.request("POST", f"/orders/{pending.order_id}/cancel", 200, user="customer", json={})
    problem = pending.request("GET", path, 409, user="customer")
    assert (problem["reason"], problem["order_status"]) == ("ORDER_STATE_CONFLICT", "cancelled")


def test_customer_returns_to_frontend_after_payment(context: ScenarioContext) -> None:
    scenarios.register(context)
    check = context.request("POST", "/order-checks", 201, user="customer", json=scenarios.BASKET)
    body = {"check_id": check["check_id"], "return_url": "http://localhost:5173/orders"}
    other_origin = body | {"return_url": "https://evil.example/orders"}
    problem = context.request("POST", "/orders", 422, user="customer", json=other_origin)
    assert problem["reason"] == "RETURN_URL_NOT_ALLOWED"
    confirmed = context.request("POST", "/orders", 201, user="customer", json=body)
    order_id, checkout_url = confirmed["order"]["id"], httpx.URL(confirmed["payment"]["webcheckout_url"])
    path = f"/orders/{order_id}/payment"
    returned = context.request("GET", f"{path}?return_url=http://localhost:3000/", 200, user="customer")
    assert "return_url=http%3A%2F%2Flocalhost%3A3000%2F%3Forder_id%3D" in returned["webcheckout_url"]
    problem = context.request("GET", f"{path}?return_url=https://evil.example/", 422, user="customer")
    assert problem["reason"] == "RETURN_URL_NOT_ALLOWED"
    form = dict(checkout_url.params) | {"outcome": "pay"}
    form.pop("signature")
    paid = httpx.post(checkout_url.copy_with(query=None), data=form, follow_redirects=True)
    assert paid.headers["refresh"] == f"5; url=http://localhost:5173/orders?order_id={order_id}"
    assert context.request("GET", f"/orders/{order_id}", 200, user="customer")["status"] == "paid"


def test_get_payment_instructions_at_inactive_bank_returns_422(
    context: ScenarioContext, edge: httpx.Client, bearer: Callable[[str], dict[str, str]]
) -> None:
    bank = {"id": f"b-{uuid4().hex[:12]}", "title": "North Bank"}
    urls = {"webcheckout_url": "https://bank.example/pay", "api_url": "https://bank.example/api"}
    edge.post("/banks", json=bank | urls, headers=bearer("admin")).raise_for_status()
    scenarios.register(context)
    basket = scenarios.BASKET | {"bank_id": bank["id"]}
    check = context.request("POST", "/order-checks", 201, user="customer", json=basket)
    body = {"check_id": check["check_id"]}
    order_id = context.request("POST", "/orders", 201, user="customer", json=body)["order"]["id"]
    path = f"/orders/{order_id}/payment"
    instructions = context.request("GET", path, 200, user="customer")
    assert instructions["webcheckout_url"].startswith(f"{urls['webcheckout_url']}?order_id={order_id}&")
    edge.patch(f"/banks/{bank['id']}", json={"active": False}, headers=bearer("admin")).raise_for_status()
    assert context.request("GET", path, 422, user="customer")["reason"] == "BANK_UNAVAILABLE"
