"""Delivery fees, from the admin who sets them to the paid order."""

import secrets
from typing import Any

import httpx

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from tests.e2e.test_error_responses import assert_problem
from tests.e2e.test_set_opening_hours import PARTNER, Bearer

FEE = {"delivery_fee": 250, "delivery_fee_currency": "USD"}


def create_partner(edge: httpx.Client, bearer: Bearer) -> int:
    """Create a partner with a delivery fee that sells product 1 for 100."""
    body = PARTNER | FEE | {"title": f"Long Way {secrets.token_hex(4)}"}
    created = edge.post("/partners", json=body, headers=bearer("admin")).raise_for_status().json()
    assert {name: created[name] for name in FEE} == FEE
    path = f"/partners/{created['id']}/products/1"
    edge.put(path, json={"price": 100}, headers=bearer("admin")).raise_for_status()
    partner_id: int = created["id"]
    return partner_id


def test_delivery_fee_is_part_of_check_order_and_payment(
    context: ScenarioContext, edge: httpx.Client, bearer: Bearer
) -> None:
    partner_id = create_partner(edge, bearer)
    (entry,) = edge.get("/catalog", params={"partner_id": partner_id}).json()["items"]
    assert {name: entry[name] for name in FEE} == FEE
    scenarios.register(context)
    basket: dict[str, Any] = scenarios.BASKET | {
        "partner_id": partner_id,
        "items": [{"product_id": 1, "quantity": 2}],
        "total_amount": 200,
    }
    problem = context.request("POST", "/order-checks", 422, user="customer", json=basket)
    assert (problem["reason"], problem["total_amount"], problem["delivery_fee"]) == ("TOTAL_MISMATCH", 450, 250)
    basket |= {"total_amount": 500, "tip_amount": 50}
    checked = context.request("POST", "/order-checks", 201, user="customer", json=basket)
    assert (checked["total_amount"], checked["delivery_fee"], checked["tip_amount"]) == (500, 250, 50)
    context.check_id = checked["check_id"]
    scenarios.confirm(context)
    order = context.get_order()
    assert (order["total_amount"], order["delivery_fee"], order["tip_amount"]) == (500, 250, 50)
    payment = {"order_id": order["id"], "amount": 500, "currency": "USD", "outcome": "pay"}
    payment |= {"callback_url": context.checkout["callback_url"]}
    paid = context.request_sandbox("POST", f"/checkout/{basket['bank_id']}", 200, json=payment)
    assert [callback["status"] for callback in paid["callbacks"]] == [200]
    assert context.get_order()["paid_amount"] == 500


def test_order_of_partner_without_fee_has_unchanged_total(context: ScenarioContext) -> None:
    scenarios.register(context)
    checked = context.request("POST", "/order-checks", 201, user="customer", json=scenarios.BASKET)
    assert (checked["total_amount"], checked["delivery_fee"]) == (scenarios.BASKET["total_amount"], 0)


def test_invalid_delivery_fee_is_rejected(edge: httpx.Client, bearer: Bearer) -> None:
    for change in ({"delivery_fee": -1}, {"delivery_fee": 10**9 + 1}, {"delivery_fee_currency": "ZZQ"}):
        response = edge.post("/partners", json=PARTNER | {"title": "Fees"} | change, headers=bearer("admin"))
        assert_problem(response, 400, "INVALID_REQUEST")
