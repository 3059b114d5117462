"""Orders and banks through the edge: idempotency, event streams, cancellation, refunds and bank administration."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.scenarios import BASKET
from generated.rest.delivery.models import OrderEvent

type Bearer = Callable[[str], dict[str, str]]


def pay(context: ScenarioContext, outcome: str = "pay") -> Any:
    body = {
        "order_id": context.order_id,
        "amount": context.get_order()["total_amount"],
        "currency": "USD",
        "outcome": outcome,
        "callback_url": context.checkout["callback_url"],
    }
    return context.request_sandbox("POST", f"/checkout/{BASKET['bank_id']}", 200, json=body)


def read_ledger(context: ScenarioContext) -> list[tuple[int, int]]:
    """Return the captured and the refunded amount of each payment of the order."""
    entries = context.get_from_sandbox(f"/bank/{BASKET['bank_id']}/ledger")
    return [(entry["captured"], entry["refunded"]) for entry in entries if entry["order_id"] == context.order_id]


def test_confirm_order_with_repeated_key_is_idempotent(context: ScenarioContext, edge: httpx.Client) -> None:
    scenarios.register(context)
    scenarios.check(context)
    headers = {"authorization": f"Bearer {context.tokens['customer']}", "idempotency-key": str(uuid4())}
    first, repeated = (edge.post("/orders", json={"check_id": context.check_id}, headers=headers) for _ in range(2))
    assert (first.status_code, repeated.status_code) == (201, 201)
    assert first.json() == repeated.json()
    assert "idempotency-replayed" not in first.headers
    assert repeated.headers["idempotency-replayed"] == "true"
    assert repeated.headers["location"] == first.headers["location"]
    other = edge.post("/orders", json={"check_id": "another"}, headers=headers)
    assert (other.status_code, other.json()["reason"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_order_with_note_address_and_tip_reaches_partner_and_is_refunded(context: ScenarioContext) -> None:
    scenarios.register(context)
    address = {"street": "1 Long Street", "city": "Springfield", "country": "US"}
    address |= {"coordinates": {"latitude": 39.78, "longitude": -89.65}}
    details = {"note": "No onions", "address": address, "tip_amount": 50}
    problem = context.request("POST", "/order-checks", 422, user="customer", json=BASKET | details)
    assert (problem["reason"], problem["total_amount"]) == ("TOTAL_MISMATCH", BASKET["total_amount"] + 50)
    basket = BASKET | details | {"total_amount": problem["total_amount"]}
    checked = context.request("POST", "/order-checks", 201, user="customer", json=basket)
    assert (checked["total_amount"], checked["tip_amount"]) == (basket["total_amount"], 50)
    context.check_id = checked["check_id"]
    scenarios.confirm(context)
    order = context.get_order()
    assert {name: order[name] for name in details} == details
    assert [callback["status"] for callback in pay(context)["callbacks"]] == [200]

    def list_notes() -> list[str | None]:
        calls = context.get_from_sandbox(f"/kitchen/{BASKET['partner_id']}/orders")
        return [call["body"].get("note") for call in calls if call["body"]["order_id"] == context.order_id]

    context.wait_until("the kitchen has received the order", list_notes)
    assert list_notes()[0] == "No onions"
    context.request("POST", f"/orders/{context.order_id}/cancel", 200, user="customer", json={})
    context.wait_until("the payment is refunded", lambda: context.get_order()["refund_status"] == "refunded")
    assert read_ledger(context) == [(basket["total_amount"], basket["total_amount"])]


def test_cancelled_order_is_streamed_to_its_end_and_refunded(pending: ScenarioContext, edge: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {pending.tokens['customer']}"}
    path = f"/orders/{pending.order_id}/events"
    events: list[dict[str, Any]] = []
    ids: list[str] = []
    with edge.stream("GET", path, headers=headers, timeout=30) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        for line in stream.iter_lines():
            if line.startswith("id: "):
                ids.append(line.removeprefix("id: "))
            if line.startswith("data: "):
                data = line.removeprefix("data: ")
                msgspec.json.decode(data, type=OrderEvent)
                events.append(json.loads(data))
                if events[-1]["status"] == "pending":
                    pay(pending, "more")
                elif events[-1]["status"] == "paid" and len(events) == 2:
                    pending.request(
                        "POST",
                        f"/orders/{pending.order_id}/cancel",
                        200,
                        user="customer",
                        json={"reason": "no appetite"},
                    )
    assert [events[index]["status"] for index in (0, 1, -1)] == ["pending", "paid", "cancelled"]
    assert ids == sorted(ids, key=int)
    pending.wait_until("the payment is refunded", lambda: pending.get_order()["refund_status"] == "refunded")
    order = pending.get_order()
    assert (order["refunded_amount"], order["cancel_reason"]) == (order["paid_amount"], "no appetite")
    assert read_ledger(pending) == [(order["paid_amount"], order["paid_amount"])]
    with edge.stream("GET", path, headers=headers | {"last-event-id": "1"}, timeout=10) as stream:
        missed = [line for line in stream.iter_lines() if line.startswith("id: ")]
    assert missed[0] == "id: 2"
    ended = edge.get(path, headers=headers | {"last-event-id": str(order["version"])})
    assert (ended.status_code, ended.content) == (204, b"")
    repeated = edge.post(f"/orders/{pending.order_id}/cancel", headers=headers)
    assert (repeated.status_code, repeated.json()["reason"]) == (409, "ORDER_STATE_CONFLICT")


def test_insufficient_payment_is_refunded(pending: ScenarioContext, edge: httpx.Client, bearer: Bearer) -> None:
    callback = pay(pending, "less")["callbacks"][0]
    assert callback["status"] == 422
    pending.wait_until("the payment is refunded", lambda: pending.get_order()["refund_status"] == "refunded")
    assert pending.get_order()["status"] == "pending"
    assert [captured - refunded for captured, refunded in read_ledger(pending)] == [0]

    def list_outcomes() -> Any:
        page = edge.get("/payments", params={"order_id": pending.order_id}, headers=bearer("admin")).json()
        return [payment["outcome"] for payment in page["items"]]

    pending.wait_until("the payment is listed", list_outcomes)
    assert list_outcomes() == ["insufficient"]


def test_bank_administration_requires_admin(edge: httpx.Client, bearer: Bearer) -> None:
    bank_id = f"b-{uuid4().hex[:12]}"
    urls = {"webcheckout_url": "https://bank.example/pay", "api_url": "https://bank.example/api"}
    body = {"id": bank_id, "title": "North Bank", **urls}
    key = {"idempotency-key": str(uuid4())}
    for api_url in ("https://bank.example/refunds?key=1", "https://bank.example:99999", "https://xn--a/x"):
        rejected = edge.post("/banks", json=body | {"api_url": api_url}, headers=bearer("admin"))
        assert (rejected.status_code, rejected.json()["errors"][0]["field"]) == (400, "/api_url")
    assert edge.post("/banks", json=body, headers=bearer("customer")).status_code == 403
    created, repeated = (edge.post("/banks", json=body, headers=bearer("admin") | key) for _ in range(2))
    assert (created.status_code, repeated.status_code) == (201, 201)
    assert created.json()["webhook_secret"].startswith("whsec_")
    assert "webhook_secret" not in repeated.json()
    assert repeated.headers["idempotency-replayed"] == "true"
    path = f"/banks/{bank_id}"
    shown = edge.get(path, headers=bearer("admin"))
    assert shown.json() == body | {"active": True}
    assert edge.get(path, headers=bearer("admin") | {"if-none-match": shown.headers["etag"]}).status_code == 304
    change = {"active": False}
    headers = bearer("admin") | {"if-match": f'"zzz", {shown.headers["etag"]}'}
    patched = edge.patch(path, json=change, headers=headers)
    assert (patched.status_code, patched.json()["active"]) == (200, False)
    stale = edge.patch(path, json=change, headers=headers)
    assert (stale.status_code, stale.json()["reason"]) == (412, "PRECONDITION_FAILED")
    rotated = edge.post(f"{path}/secret", headers=bearer("admin"))
    assert rotated.json()["webhook_secret"] not in ("", created.json()["webhook_secret"])
    banks = edge.get("/banks", params={"page_size": 100}, headers=bearer("customer")).json()["items"]
    assert bank_id not in [bank["id"] for bank in banks]
