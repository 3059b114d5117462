"""The seven scenarios through the edge, and what a payment may come to."""

import pytest

from deploy.local.demo import scenarios
from deploy.local.demo.scenarios import BASKET, ScenarioContext


def test_the_seven_scenarios(world: ScenarioContext) -> None:
    for scenario in scenarios.SCENARIOS:
        scenario(world)


def checkout(world: ScenarioContext, outcome: str) -> list[int]:
    body = {
        "order_id": world.order_id,
        "amount": BASKET["total_amount"],
        "currency": "USD",
        "callback_url": world.checkout["callback_url"],
        "outcome": outcome,
    }
    answer = world.sandbox_request("POST", f"/checkout/{BASKET['bank_id']}", 200, json=body)
    return [callback["status"] for callback in answer["callbacks"]]


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
def test_what_comes_of_a_payment(
    pending: ScenarioContext, outcome: str, statuses: list[int], order: str, refund: str
) -> None:
    assert checkout(pending, outcome) == statuses
    pending.wait_until("what is to go back is back", lambda: pending.get_order()["refund_status"] == refund)
    assert pending.get_order()["status"] == order


def test_a_second_payment_is_refused_and_goes_back(pending: ScenarioContext) -> None:
    assert checkout(pending, "pay") == [200]
    assert checkout(pending, "pay") == [409]
    pending.wait_until("what is to go back is back", lambda: pending.get_order()["refund_status"] == "refunded")
    now = pending.get_order()
    assert (now["status"], now["paid_amount"], now["refunded_amount"]) == ("paid", 3400, 1700)


def test_a_payment_for_an_order_that_is_not_there(pending: ScenarioContext) -> None:
    pending.order_id = "no-such-order"
    assert checkout(pending, "pay") == [404]


def test_confirming_an_unknown_check(pending: ScenarioContext) -> None:
    pending.request("POST", "/orders", 410, user="customer", json={"check_id": "no-such-check"})


def test_another_customers_check(pending: ScenarioContext, world: ScenarioContext) -> None:
    other = ScenarioContext(pending.edge, pending.sandbox, pending.console)
    scenarios.register(other)
    other.request("POST", "/orders", 410, user="customer", json={"check_id": pending.check_id})
