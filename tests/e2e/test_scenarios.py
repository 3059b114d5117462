"""The seven demo scenarios through the edge, and outcomes of payments."""

import pytest

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.scenarios import BASKET


def test_all_demo_scenarios_pass(context: ScenarioContext) -> None:
    for scenario in scenarios.SCENARIOS:
        scenario(context)


def pay(context: ScenarioContext, outcome: str) -> list[int]:
    body = {
        "order_id": context.order_id,
        "amount": BASKET["total_amount"],
        "currency": "USD",
        "callback_url": context.checkout["callback_url"],
        "outcome": outcome,
    }
    response = context.request_sandbox("POST", f"/checkout/{BASKET['bank_id']}", 200, json=body)
    return [callback["status"] for callback in response["callbacks"]]


@pytest.mark.parametrize(
    ("outcome", "statuses", "order", "refund"),
    [
        ("pay", [200], "paid", "none"),
        ("twice", [200, 200], "paid", "none"),
        ("more", [200], "paid", "refunded"),
        ("less", [422], "pending", "refunded"),
        ("fail", [200], "pending", "none"),
    ],
)
def test_payment_outcome_determines_status_and_refund(
    pending: ScenarioContext, outcome: str, statuses: list[int], order: str, refund: str
) -> None:
    assert pay(pending, outcome) == statuses
    pending.wait_until("refund is completed", lambda: pending.get_order()["refund_status"] == refund)
    assert pending.get_order()["status"] == order


def test_second_payment_is_rejected_and_refunded(pending: ScenarioContext) -> None:
    assert pay(pending, "pay") == [200]
    assert pay(pending, "pay") == [409]
    pending.wait_until("refund is completed", lambda: pending.get_order()["refund_status"] == "refunded")
    order = pending.get_order()
    assert (order["status"], order["paid_amount"], order["refunded_amount"]) == ("paid", 3400, 1700)


def test_payment_of_unknown_order_returns_404(pending: ScenarioContext) -> None:
    pending.order_id = "no-such-order"
    assert pay(pending, "pay") == [404]


def test_confirm_order_with_unknown_check_returns_410(pending: ScenarioContext) -> None:
    pending.request("POST", "/orders", 410, user="customer", json={"check_id": "no-such-check"})


def test_confirm_order_with_check_of_other_customer_returns_410(pending: ScenarioContext) -> None:
    other = ScenarioContext(pending.edge, pending.sandbox, pending.console)
    scenarios.register(other)
    other.request("POST", "/orders", 410, user="customer", json={"check_id": pending.check_id})
