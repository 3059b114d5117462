"""The seven scenarios through the edge, and what a payment may come to."""

import pytest

from deploy.local import scenarios
from deploy.local.scenarios import BASKET, World


def test_the_seven_scenarios(world: World) -> None:
    for scenario in scenarios.SCENARIOS:
        scenario(world)


def checkout(world: World, outcome: str) -> list[int]:
    body = {
        "order_id": world.order_id,
        "amount": BASKET["total_amount"],
        "currency": "USD",
        "callback_url": world.checkout["callback_url"],
        "outcome": outcome,
    }
    answer = world.outside("POST", f"/checkout/{BASKET['bank_id']}", 200, json=body)
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
def test_what_comes_of_a_payment(pending: World, outcome: str, statuses: list[int], order: str, refund: str) -> None:
    assert checkout(pending, outcome) == statuses
    pending.until("what is to go back is back", lambda: pending.order()["refund_status"] == refund)
    assert pending.order()["status"] == order


def test_a_second_payment_is_refused_and_goes_back(pending: World) -> None:
    assert checkout(pending, "pay") == [200]
    assert checkout(pending, "pay") == [409]
    pending.until("what is to go back is back", lambda: pending.order()["refund_status"] == "refunded")
    now = pending.order()
    assert (now["status"], now["paid_amount"], now["refunded_amount"]) == ("paid", 3400, 1700)


def test_a_payment_for_an_order_that_is_not_there(pending: World) -> None:
    pending.order_id = "no-such-order"
    assert checkout(pending, "pay") == [404]


def test_confirming_an_unknown_check(pending: World) -> None:
    pending.call("POST", "/orders", 410, who="customer", json={"check_id": "no-such-check"})


def test_another_customers_check(pending: World, world: World) -> None:
    other = World(pending.edge, pending.sandbox, pending.console)
    scenarios.register(other)
    other.call("POST", "/orders", 410, who="customer", json={"check_id": pending.check_id})
