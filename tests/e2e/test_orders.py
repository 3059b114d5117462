"""Orders and banks through the edge: keys, streams, cancellation and refunds, as clients and the ledger see them."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

from deploy.local.demo import scenarios
from deploy.local.demo.scenarios import BASKET, ScenarioContext

type Bearer = Callable[[str], dict[str, str]]


def pay(world: ScenarioContext, outcome: str = "pay") -> Any:
    total = world.get_order()["total_amount"]
    said = {"order_id": world.order_id, "amount": total, "currency": "USD", "outcome": outcome}
    body = said | {"callback_url": world.checkout["callback_url"]}
    return world.sandbox_request("POST", f"/checkout/{BASKET['bank_id']}", 200, json=body)


def ledger(world: ScenarioContext) -> list[tuple[int, int]]:
    entries = world.sandbox_get(f"/bank/{BASKET['bank_id']}/ledger")
    return [(entry["captured"], entry["refunded"]) for entry in entries if entry["order_id"] == world.order_id]


def test_a_key_makes_confirming_repeatable(world: ScenarioContext, edge: httpx.Client) -> None:
    scenarios.register(world)
    scenarios.check(world)
    headers = {"authorization": f"Bearer {world.tokens['customer']}", "idempotency-key": str(uuid4())}
    first, again = (edge.post("/orders", json={"check_id": world.check_id}, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    other = edge.post("/orders", json={"check_id": "another"}, headers=headers)
    assert (other.status_code, other.json()["reason"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_a_cancelled_order_is_followed_to_its_end_and_paid_back(pending: ScenarioContext, edge: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {pending.tokens['customer']}"}
    path = f"/orders/{pending.order_id}/events"
    told: list[dict[str, Any]] = []
    ids: list[str] = []
    with edge.stream("GET", path, headers=headers, timeout=30) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        for line in stream.iter_lines():
            if line.startswith("id: "):
                ids.append(line.removeprefix("id: "))
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
                if told[-1]["status"] == "pending":
                    pay(pending, "more")
                elif told[-1]["status"] == "paid" and len(told) == 2:
                    pending.request(
                        "POST",
                        f"/orders/{pending.order_id}/cancel",
                        200,
                        user="customer",
                        json={"reason": "no appetite"},
                    )
    assert (told[0]["status"], told[1]["status"], told[-1]["status"]) == ("pending", "paid", "cancelled")
    assert ids == sorted(ids, key=int)
    pending.wait_until("the money is back", lambda: pending.get_order()["refund_status"] == "refunded")
    order = pending.get_order()
    assert (order["refunded_amount"], order["cancel_reason"]) == (order["paid_amount"], "no appetite")
    assert ledger(pending) == [(order["paid_amount"], order["paid_amount"])]
    with edge.stream("GET", path, headers=headers | {"last-event-id": "1"}, timeout=10) as stream:
        missed = [line for line in stream.iter_lines() if line.startswith("id: ")]
    assert missed[0] == "id: 2"
    again = edge.post(f"/orders/{pending.order_id}/cancel", headers=headers)
    assert (again.status_code, again.json()["reason"]) == (409, "ORDER_STATE_CONFLICT")


def test_what_is_paid_too_little_comes_back(pending: ScenarioContext, edge: httpx.Client, bearer: Bearer) -> None:
    answer = pay(pending, "less")["callbacks"][0]
    assert answer["status"] == 422
    pending.wait_until("the money is back", lambda: pending.get_order()["refund_status"] == "refunded")
    assert pending.get_order()["status"] == "pending"
    assert [captured - refunded for captured, refunded in ledger(pending)] == [0]

    def listed() -> Any:
        found = edge.get("/payments", params={"order_id": pending.order_id}, headers=bearer("admin")).json()
        return [payment["outcome"] for payment in found["items"]]

    pending.wait_until("the payment is listed", listed)
    assert listed() == ["insufficient"]


def test_admins_look_after_banks(edge: httpx.Client, bearer: Bearer) -> None:
    bank_id = f"b-{uuid4().hex[:12]}"
    urls = {"webcheckout_url": "https://bank.example/pay", "api_url": "https://bank.example/api"}
    body = {"id": bank_id, "title": "North Bank", **urls}
    key = {"idempotency-key": str(uuid4())}
    assert edge.post("/banks", json=body, headers=bearer("customer")).status_code == 403
    made, again = (edge.post("/banks", json=body, headers=bearer("admin") | key) for _ in range(2))
    assert (made.status_code, again.status_code) == (201, 201)
    assert made.json()["webhook_secret"].startswith("whsec_")
    assert "webhook_secret" not in again.json()
    assert again.headers["idempotency-replayed"] == "true"
    path = f"/banks/{bank_id}"
    got = edge.get(path, headers=bearer("admin"))
    assert got.json() == body | {"active": True}
    assert edge.get(path, headers=bearer("admin") | {"if-none-match": got.headers["etag"]}).status_code == 304
    change = {"active": False}
    patched = edge.patch(path, json=change, headers=bearer("admin") | {"if-match": got.headers["etag"]})
    assert (patched.status_code, patched.json()["active"]) == (200, False)
    stale = edge.patch(path, json=change, headers=bearer("admin") | {"if-match": got.headers["etag"]})
    assert (stale.status_code, stale.json()["reason"]) == (412, "PRECONDITION_FAILED")
    rotated = edge.post(f"{path}/secret", headers=bearer("admin"))
    assert rotated.json()["webhook_secret"] not in ("", made.json()["webhook_secret"])
    shown = edge.get("/banks", params={"page_size": 100}, headers=bearer("customer")).json()["items"]
    assert bank_id not in [bank["id"] for bank in shown]
