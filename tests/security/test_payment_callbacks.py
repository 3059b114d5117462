"""Payment callbacks of a bank that reuses the ids of its webhooks and payments."""

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.scenarios import BASKET
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from services.runtime.core.clock import now
from services.runtime.outbound import webhooks
from tests.conftest import Mesh

TOTAL: int = BASKET["total_amount"]

type Report = Callable[..., tuple[int, str]]


@pytest.fixture
def report(edge: httpx.Client, mesh: Mesh) -> Report:
    """Return a function that sends a signed payment callback; it returns the status and the reason."""
    secret = Secrets(MeshConfig(os.environ)).webhook_secret

    def send(order_id: str, webhook_id: str, payment_id: str, amount: int = TOTAL) -> tuple[int, str]:
        callback = {"payment_id": payment_id, "order_id": order_id, "amount": amount, "currency": "USD"}
        body = msgspec.json.encode(callback | {"status": "succeeded"})
        headers = webhooks.sign_message(webhook_id, now(), body, secret) | {"content-type": "application/json"}
        response = edge.post(f"/callbacks/payments/{BASKET['bank_id']}", content=body, headers=headers)
        return response.status_code, response.json().get("reason", "")

    return send


def generate_ids(count: int) -> list[str]:
    return [uuid4().hex for _ in range(count)]


def read_outcomes(edge: httpx.Client, order_id: str) -> Counter[str]:
    """Return the number of recorded payments of an order by their outcome."""
    body = {"email": "admin@delivery.test", "password": scenarios.DEMO_PASSWORD}
    token = edge.post("/sessions", json=body).raise_for_status().json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    payments = edge.get("/payments", params={"order_id": order_id}, headers=headers).raise_for_status().json()["items"]
    return Counter(payment["outcome"] for payment in payments)


def run_concurrently(report: Report, calls: list[tuple[Any, ...]]) -> Counter[tuple[int, str]]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return Counter(pool.map(lambda call: report(*call), calls))


def test_other_payment_with_used_webhook_id_is_rejected_and_refunded(
    context: ScenarioContext, edge: httpx.Client, report: Report
) -> None:
    (webhook_id,), payment_ids = generate_ids(1), generate_ids(6)
    results = run_concurrently(report, [(context.order_id, webhook_id, payment_id) for payment_id in payment_ids])
    assert results == {(200, ""): 1, (422, "WEBHOOK_ID_REUSED"): 5}
    context.wait_until(
        "payments are recorded",
        lambda: read_outcomes(edge, context.order_id) == {"paid": 1, "conflict": 5},
    )
    order = context.get_order()
    assert (order["status"], order["paid_amount"]) == ("paid", 6 * TOTAL)


def test_used_payment_id_with_other_amount_is_rejected_and_recorded(
    context: ScenarioContext, edge: httpx.Client, report: Report
) -> None:
    first_id, second_id, payment_id = generate_ids(3)
    assert report(context.order_id, first_id, payment_id) == (200, "")
    for _ in range(2):
        assert report(context.order_id, second_id, payment_id, 3 * TOTAL) == (422, "PAYMENT_ID_REUSED")
    assert report(context.order_id, first_id, payment_id) == (200, "")
    context.wait_until(
        "reports are recorded", lambda: read_outcomes(edge, context.order_id) == {"paid": 1, "duplicate_id": 1}
    )
    order = context.get_order()
    assert (order["paid_amount"], order["refund_status"]) == (TOTAL, "none")


def test_one_payment_id_pays_one_order(context: ScenarioContext, edge: httpx.Client, report: Report) -> None:
    order_ids = [context.order_id]
    for _ in range(2):
        scenarios.check(context)
        scenarios.confirm(context)
        order_ids.append(context.order_id)
    (payment_id,), webhook_ids = generate_ids(1), generate_ids(3)
    calls = [(order_id, webhook_id, payment_id) for order_id, webhook_id in zip(order_ids, webhook_ids, strict=True)]
    assert run_concurrently(report, calls) == {(200, ""): 1, (422, "PAYMENT_ID_REUSED"): 2}
    statuses = []
    for order_id in order_ids:
        context.order_id = order_id
        statuses.append(context.get_order()["status"])
        context.wait_until("the report is recorded", lambda: read_outcomes(edge, context.order_id).total() == 1)
    assert Counter(statuses) == {"paid": 1, "pending": 2}
