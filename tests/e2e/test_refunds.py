"""Refunds for admins through the edge: list, retry and settlement of refunds that the bank has rejected."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.scenarios import BASKET
from tests.e2e.test_orders import pay, read_ledger

type Bearer = Callable[[str], dict[str, str]]

NOTE = {"note": "Bank transfer 4711"}


@pytest.fixture
def fault_path(sandbox: httpx.Client) -> Iterator[str]:
    """Make the bank reject refunds until the end of the test; the path controls the fault."""
    path = f"/bank/{BASKET['bank_id']}/fault"
    sandbox.put(path, json={"mode": "refuse"}).raise_for_status()
    yield path
    sandbox.put(path, json={"mode": "none"}).raise_for_status()


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/refunds"), ("POST", "/refunds/x/retry"), ("POST", "/refunds/x/settlement")]
)
def test_refunds_require_admin(edge: httpx.Client, bearer: Bearer, method: str, path: str) -> None:
    body = NOTE if path.endswith("settlement") else None
    assert edge.request(method, path, json=body).status_code == 401
    for role in ("customer", "deliverer"):
        assert edge.request(method, path, json=body, headers=bearer(role)).status_code == 403
    if method == "POST":
        unknown = edge.post(path, json=body, headers=bearer("admin"))
        assert (unknown.status_code, unknown.json()["reason"]) == (404, "REFUND_NOT_FOUND")


def test_invalid_requests_of_refunds_are_rejected(edge: httpx.Client, bearer: Bearer) -> None:
    headers = bearer("admin")
    assert edge.get("/refunds", params={"status": "lost"}, headers=headers).status_code == 400
    for invalid in ({}, {"note": ""}, {"note": "a\nb"}, NOTE | {"unknown": 1}):
        assert edge.post("/refunds/x/settlement", json=invalid, headers=headers).status_code == 400


def test_rejected_refund_is_retried_and_settled(
    pending: ScenarioContext, fault_path: str, edge: httpx.Client, bearer: Bearer
) -> None:
    headers = bearer("admin")

    def read_refund() -> dict[str, Any]:
        query = {"order_id": pending.order_id, "bank_id": BASKET["bank_id"]}
        (refund,) = edge.get("/refunds", params=query, headers=headers).json()["items"]
        return refund  # type: ignore[no-any-return]

    pay(pending)
    pending.request("POST", f"/orders/{pending.order_id}/cancel", 200, user="customer", json={})
    pending.wait_until("the refund has failed", lambda: read_refund()["status"] == "failed")
    refund = read_refund()
    path = f"/refunds/{refund['id']}"
    assert (refund["last_response"], refund["attempts"], refund["actions"]) == ("422", 1, [])
    assert "next_attempt_at" not in refund
    failed = edge.get("/refunds", params={"status": "failed", "page_size": 100}, headers=headers).json()["items"]
    assert refund in failed

    retried = edge.post(f"{path}/retry", headers=headers)
    assert (retried.status_code, [each["kind"] for each in retried.json()["actions"]]) == (200, ["retried"])
    pending.wait_until("the refund has failed again", lambda: read_refund()["status"] == "failed")

    settled = edge.post(f"{path}/settlement", json=NOTE, headers=headers)
    assert (settled.status_code, settled.json()["status"]) == (200, "refunded")
    assert settled.json()["actions"][-1] | {"at": ""} == {
        "kind": "settled",
        "actor": retried.json()["actions"][0]["actor"],
        "note": NOTE["note"],
        "at": "",
    }
    assert pending.get_order()["refund_status"] == "refunded"
    assert [refunded for _, refunded in read_ledger(pending)] == [0]
    for action, body in (("retry", None), ("settlement", NOTE)):
        conflict = edge.post(f"{path}/{action}", json=body, headers=headers)
        assert (conflict.status_code, conflict.json()["reason"]) == (409, "REFUND_CONFLICT")
    mails = pending.get_from_sandbox("/mailbox/operators@delivery.test")
    assert any(pending.order_id in mail["text"] for mail in mails if "REFUND_FAILED" in mail["subject"])
