"""The judge itself: what is right passes, and each thing that can be wrong is found."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.doors import Person
from tests.chaos.judge import Facts, Finding, Seen, judge
from tests.chaos.lives import Life

ADA = Person("token", "phone-ada")


def delivered(**changed: Any) -> Facts:
    order = {"status": "delivered", "total_amount": 200, "paid_amount": 201, "refunded_amount": 1}
    facts = Facts(
        order={**order, "refund_status": "refunded"},
        history=["pending", "paid", "ready", "delivering", "delivered"],
        payments=[{"payment_id": "p", "outcome": "overpaid"}],
        ledger=[{"payment_id": "p", "captured": 201, "refunded": 1}],
        received=[{"kind": "order", "webhook_id": "w", "signature_valid": True, "times_received": 3}],
        shown=["orders.paid", "orders.ready", "orders.assigned", "orders.delivered"],
    )
    return replace(facts, **changed)


def life(**changed: Any) -> Life:
    made = Life(0, "deliver", False, ADA, 1, "visa", [], 200, "o", "", {"o"}, {"paid", "delivered"}, {"p": 200})
    return replace(made, **changed)


def found(facts: Facts, of: Life | None = None, **changed: Any) -> list[Finding]:
    return judge(Seen([of or life()], {"o": facts}, **changed))


def test_what_is_right_passes() -> None:
    assert found(delivered()) == []


def order(**changed: Any) -> dict[str, Any]:
    return {**(delivered().order or {}), **changed}


@pytest.mark.parametrize(
    ("facts", "kind", "words"),
    [
        (Facts(None), "lost", "accepted, and not there"),
        (delivered(order=order(status="ready")), "stuck", "still ready"),
        (delivered(history=["pending", "paid", "ready", "delivered"]), "lost", "ready → delivered"),
        (delivered(history=["pending", "paid", "paid", "ready", "delivering", "delivered"]), "doubled", "2 times paid"),
        (delivered(history=[]), "lost", "its history empty"),
        (delivered(ledger=[{"payment_id": "p", "captured": 201, "refunded": 0}]), "stuck", "1 is to go back, 0 has"),
        (delivered(ledger=[{"payment_id": "p", "captured": 201, "refunded": 2}]), "doubled", "1 is to go back, 2 has"),
        (delivered(ledger=[{"payment_id": "p", "captured": 402, "refunded": 202}]), "lost", "the bank 402 and 202"),
        (delivered(order=order(refund_status="requested")), "stuck", "the order says requested"),
        (delivered(payments=[]), "lost", "payment p is known to the bank or to the records only"),
        (delivered(payments=[{"payment_id": "p", "outcome": "paid"}] * 2), "doubled", "recorded 2 times"),
        (delivered(payments=[{"payment_id": "p", "outcome": "conflict"}]), "lost", "answered 200"),
        (delivered(received=[]), "lost", "the partner never knew"),
        (
            delivered(received=[{"kind": "order", "webhook_id": w, "signature_valid": True} for w in ("v", "w")]),
            "doubled",
            "told of its order by 2 messages",
        ),
        (
            delivered(received=[{"kind": "order", "webhook_id": "w", "signature_valid": False}]),
            "lost",
            "without a valid signature",
        ),
        (delivered(shown=["orders.paid", "orders.ready", "orders.assigned"]), "lost", "not show orders.delivered"),
        (
            delivered(shown=["orders.paid", "orders.ready", "orders.assigned", "orders.delivered", "orders.paid"]),
            "doubled",
            "shows orders.paid 2 times",
        ),
    ],
)
def test_what_is_wrong_is_found(facts: Facts, kind: str, words: str) -> None:
    assert any(finding.kind == kind and words in finding.words for finding in found(facts)), found(facts)


def test_what_clients_were_told_is_kept() -> None:
    assert "it was said to be cancelled" in found(delivered(), life(promises={"cancelled"}))[0].words
    assert found(delivered(), life(order_ids={"o", "p"}))[0].kind == "doubled"
    assert found(delivered(), life(failure="TimeoutError"))[0].kind == "stuck"


def test_dead_letters_and_orders_nobody_knows_of_are_judged() -> None:
    assert found(delivered(), dead=["orders.history orders.paid of o: KeyError"])[0].kind == "stuck"
    expired = Facts(
        {"status": "expired", "total_amount": 200, "paid_amount": 0, "refunded_amount": 0, "refund_status": "none"},
        history=["pending", "expired"],
        shown=["orders.expired"],
    )
    assert judge(Seen([], {}, {"s": expired})) == []
    assert judge(Seen([], {}, {"s": replace(expired, shown=[])}))[0].kind == "lost"


def test_a_partner_hears_of_cancellations_where_the_contract_says_so() -> None:
    given_up = delivered(
        order=order(status="cancelled", refunded_amount=201),
        history=["pending", "paid", "cancelled"],
        ledger=[{"payment_id": "p", "captured": 201, "refunded": 201}],
        shown=["orders.paid", "orders.cancelled"],
    )
    cancelled = life(promises={"paid", "cancelled"})
    assert found(given_up, cancelled, cancellations=False) == []
    assert [finding.words for finding in found(given_up, cancelled)] == ["cancelled, and the partner goes on"]
