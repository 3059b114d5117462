"""Invariant checks: a valid order has no findings, and every violation is reported."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.client import SignedInUser
from tests.chaos.invariants import Finding, Observation, OrderObservation, check_invariants
from tests.chaos.workload import OrderScenario

ADA = SignedInUser("token", "phone-ada")


def make_delivered_order(**changes: Any) -> OrderObservation:
    order = {"status": "delivered", "total_amount": 200, "paid_amount": 201, "refunded_amount": 1}
    observed = OrderObservation(
        order={**order, "refund_status": "refunded"},
        history=["pending", "paid", "ready", "delivering", "delivered"],
        payments=[{"payment_id": "p", "outcome": "overpaid"}],
        ledger=[{"payment_id": "p", "captured": 201, "refunded": 1}],
        partner_calls=[{"kind": "order", "webhook_id": "w", "signature_valid": True, "times_received": 3}],
        push_events=["orders.paid", "orders.ready", "orders.assigned", "orders.delivered"],
    )
    return replace(observed, **changes)


def make_scenario(**changes: Any) -> OrderScenario:
    scenario = OrderScenario(
        0, "deliver", False, ADA, 1, "visa", [], 200, "o", "", {"o"}, {"paid", "delivered"}, {"p": 200}
    )
    return replace(scenario, **changes)


def find_violations(observed: OrderObservation, scenario: OrderScenario | None = None, **changes: Any) -> list[Finding]:
    return check_invariants(Observation([scenario or make_scenario()], {"o": observed}, **changes))


def test_valid_order_has_no_findings() -> None:
    assert find_violations(make_delivered_order()) == []


def make_order(**changes: Any) -> dict[str, Any]:
    return {**(make_delivered_order().order or {}), **changes}


@pytest.mark.parametrize(
    ("observed", "kind", "description"),
    [
        (OrderObservation(None), "lost", "confirmed, but not found"),
        (make_delivered_order(order=make_order(status="ready")), "stuck", "still ready"),
        (make_delivered_order(history=["pending", "paid", "ready", "delivered"]), "lost", "ready → delivered"),
        (
            make_delivered_order(history=["pending", "paid", "paid", "ready", "delivering", "delivered"]),
            "duplicated",
            "2 history entries with status paid",
        ),
        (make_delivered_order(history=[]), "lost", "history is empty"),
        (
            make_delivered_order(ledger=[{"payment_id": "p", "captured": 201, "refunded": 0}]),
            "stuck",
            "refunded 0 of 1",
        ),
        (
            make_delivered_order(ledger=[{"payment_id": "p", "captured": 201, "refunded": 2}]),
            "duplicated",
            "refunded 2 instead of 1",
        ),
        (
            make_delivered_order(ledger=[{"payment_id": "p", "captured": 402, "refunded": 202}]),
            "lost",
            "ledger of the bank has 402 and 202",
        ),
        (make_delivered_order(order=make_order(refund_status="requested")), "stuck", "refund status is requested"),
        (
            make_delivered_order(payments=[]),
            "lost",
            "payment p exists only in the ledger of the bank or only in the records",
        ),
        (make_delivered_order(payments=[{"payment_id": "p", "outcome": "paid"}] * 2), "duplicated", "2 records"),
        (make_delivered_order(payments=[{"payment_id": "p", "outcome": "conflict"}]), "lost", "returned 200"),
        (make_delivered_order(partner_calls=[]), "lost", "no partner call for the order"),
        (
            make_delivered_order(
                partner_calls=[{"kind": "order", "webhook_id": w, "signature_valid": True} for w in ("v", "w")]
            ),
            "duplicated",
            "2 different partner calls for one order",
        ),
        (
            make_delivered_order(partner_calls=[{"kind": "order", "webhook_id": "w", "signature_valid": False}]),
            "lost",
            "invalid signature",
        ),
        (
            make_delivered_order(push_events=["orders.paid", "orders.ready", "orders.assigned"]),
            "lost",
            "push notification is missing: orders.delivered",
        ),
        (
            make_delivered_order(
                push_events=["orders.paid", "orders.ready", "orders.assigned", "orders.delivered", "orders.paid"]
            ),
            "duplicated",
            "2 push notifications of orders.paid",
        ),
    ],
)
def test_each_violation_is_reported(observed: OrderObservation, kind: str, description: str) -> None:
    findings = find_violations(observed)
    assert any(finding.kind == kind and description in finding.description for finding in findings), findings


def test_violated_responses_to_clients_are_reported() -> None:
    assert (
        "reported status cancelled"
        in find_violations(make_delivered_order(), make_scenario(reported_statuses={"cancelled"}))[0].description
    )
    assert find_violations(make_delivered_order(), make_scenario(order_ids={"o", "p"}))[0].kind == "duplicated"
    assert find_violations(make_delivered_order(), make_scenario(failure="TimeoutError"))[0].kind == "stuck"


def test_dead_letters_and_unconfirmed_orders_are_checked() -> None:
    assert (
        find_violations(make_delivered_order(), dead_letters=["orders.history orders.paid of o: KeyError"])[0].kind
        == "stuck"
    )
    expired = OrderObservation(
        {"status": "expired", "total_amount": 200, "paid_amount": 0, "refunded_amount": 0, "refund_status": "none"},
        history=["pending", "expired"],
        push_events=["orders.expired"],
    )
    assert check_invariants(Observation([], {}, {"s": expired})) == []
    assert check_invariants(Observation([], {}, {"s": replace(expired, push_events=[])}))[0].kind == "lost"


def test_missing_cancellation_call_is_reported() -> None:
    cancelled_order = make_delivered_order(
        order=make_order(status="cancelled", refunded_amount=201),
        history=["pending", "paid", "cancelled"],
        ledger=[{"payment_id": "p", "captured": 201, "refunded": 201}],
        push_events=["orders.paid", "orders.cancelled"],
    )
    scenario = make_scenario(reported_statuses={"paid", "cancelled"})
    assert find_violations(cancelled_order, scenario, reports_cancellations=False) == []
    assert [finding.description for finding in find_violations(cancelled_order, scenario)] == [
        "cancelled, but no partner call for the cancellation"
    ]
