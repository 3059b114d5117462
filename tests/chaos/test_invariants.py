"""The judge itself: what is right passes, and each thing that can be wrong is found."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.client import SignedInUser
from tests.chaos.invariants import Finding, Observation, OrderObservation, check_invariants
from tests.chaos.workload import OrderScenario

ADA = SignedInUser("token", "phone-ada")


def make_delivered_order(**changed: Any) -> OrderObservation:
    order = {"status": "delivered", "total_amount": 200, "paid_amount": 201, "refunded_amount": 1}
    facts = OrderObservation(
        order={**order, "refund_status": "refunded"},
        history=["pending", "paid", "ready", "delivering", "delivered"],
        payments=[{"payment_id": "p", "outcome": "overpaid"}],
        ledger=[{"payment_id": "p", "captured": 201, "refunded": 1}],
        partner_calls=[{"kind": "order", "webhook_id": "w", "signature_valid": True, "times_received": 3}],
        push_events=["orders.paid", "orders.ready", "orders.assigned", "orders.delivered"],
    )
    return replace(facts, **changed)


def make_scenario(**changed: Any) -> OrderScenario:
    made = OrderScenario(
        0, "deliver", False, ADA, 1, "visa", [], 200, "o", "", {"o"}, {"paid", "delivered"}, {"p": 200}
    )
    return replace(made, **changed)


def find_violations(observed: OrderObservation, scenario: OrderScenario | None = None, **changed: Any) -> list[Finding]:
    return check_invariants(Observation([scenario or make_scenario()], {"o": observed}, **changed))


def test_what_is_right_passes() -> None:
    assert find_violations(make_delivered_order()) == []


def make_order(**changed: Any) -> dict[str, Any]:
    return {**(make_delivered_order().order or {}), **changed}


@pytest.mark.parametrize(
    ("facts", "kind", "words"),
    [
        (OrderObservation(None), "lost", "accepted, and not there"),
        (make_delivered_order(order=make_order(status="ready")), "stuck", "still ready"),
        (make_delivered_order(history=["pending", "paid", "ready", "delivered"]), "lost", "ready → delivered"),
        (
            make_delivered_order(history=["pending", "paid", "paid", "ready", "delivering", "delivered"]),
            "doubled",
            "2 times paid",
        ),
        (make_delivered_order(history=[]), "lost", "its history empty"),
        (
            make_delivered_order(ledger=[{"payment_id": "p", "captured": 201, "refunded": 0}]),
            "stuck",
            "1 is to go back, 0 has",
        ),
        (
            make_delivered_order(ledger=[{"payment_id": "p", "captured": 201, "refunded": 2}]),
            "doubled",
            "1 is to go back, 2 has",
        ),
        (
            make_delivered_order(ledger=[{"payment_id": "p", "captured": 402, "refunded": 202}]),
            "lost",
            "the bank 402 and 202",
        ),
        (make_delivered_order(order=make_order(refund_status="requested")), "stuck", "the order says requested"),
        (make_delivered_order(payments=[]), "lost", "payment p is known to the bank or to the records only"),
        (make_delivered_order(payments=[{"payment_id": "p", "outcome": "paid"}] * 2), "doubled", "recorded 2 times"),
        (make_delivered_order(payments=[{"payment_id": "p", "outcome": "conflict"}]), "lost", "answered 200"),
        (make_delivered_order(received=[]), "lost", "the partner never knew"),
        (
            make_delivered_order(
                received=[{"kind": "order", "webhook_id": w, "signature_valid": True} for w in ("v", "w")]
            ),
            "doubled",
            "told of its order by 2 messages",
        ),
        (
            make_delivered_order(received=[{"kind": "order", "webhook_id": "w", "signature_valid": False}]),
            "lost",
            "without a valid signature",
        ),
        (
            make_delivered_order(shown=["orders.paid", "orders.ready", "orders.assigned"]),
            "lost",
            "not show orders.delivered",
        ),
        (
            make_delivered_order(
                shown=["orders.paid", "orders.ready", "orders.assigned", "orders.delivered", "orders.paid"]
            ),
            "doubled",
            "shows orders.paid 2 times",
        ),
    ],
)
def test_what_is_wrong_is_found(facts: OrderObservation, kind: str, words: str) -> None:
    assert any(finding.kind == kind and words in finding.description for finding in find_violations(facts)), (
        find_violations(facts)
    )


def test_what_clients_were_told_is_kept() -> None:
    assert (
        "it was said to be cancelled"
        in find_violations(make_delivered_order(), make_scenario(promises={"cancelled"}))[0].description
    )
    assert find_violations(make_delivered_order(), make_scenario(order_ids={"o", "p"}))[0].kind == "doubled"
    assert find_violations(make_delivered_order(), make_scenario(failure="TimeoutError"))[0].kind == "stuck"


def test_dead_letters_and_orders_nobody_knows_of_are_judged() -> None:
    assert (
        find_violations(make_delivered_order(), dead=["orders.history orders.paid of o: KeyError"])[0].kind == "stuck"
    )
    expired = OrderObservation(
        {"status": "expired", "total_amount": 200, "paid_amount": 0, "refunded_amount": 0, "refund_status": "none"},
        history=["pending", "expired"],
        push_events=["orders.expired"],
    )
    assert check_invariants(Observation([], {}, {"s": expired})) == []
    assert check_invariants(Observation([], {}, {"s": replace(expired, push_events=[])}))[0].kind == "lost"


def test_a_partner_hears_of_cancellations_where_the_contract_says_so() -> None:
    given_up = make_delivered_order(
        order=make_order(status="cancelled", refunded_amount=201),
        history=["pending", "paid", "cancelled"],
        ledger=[{"payment_id": "p", "captured": 201, "refunded": 201}],
        shown=["orders.paid", "orders.cancelled"],
    )
    cancelled = make_scenario(promises={"paid", "cancelled"})
    assert find_violations(given_up, cancelled, cancellations=False) == []
    assert [finding.description for finding in find_violations(given_up, cancelled)] == [
        "cancelled, and the partner goes on"
    ]
