"""Whether everybody was told the same: orders, history, money, kitchens and phones, compared from outside."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from services.orders.domain import NEXT, OrderStatus
from tests.chaos.lives import ENDS, Life

type Kind = Literal["lost", "doubled", "stuck"]

EVENT_OF = {
    "paid": "orders.paid",
    "ready": "orders.ready",
    "delivering": "orders.assigned",
    "delivered": "orders.delivered",
    "cancelled": "orders.cancelled",
    "expired": "orders.expired",
}
"""What the customer's phone shows for each step."""


class Finding(NamedTuple):
    """Something is not as it must be."""

    kind: Kind
    about: str
    words: str


@dataclass(frozen=True)
class Facts:
    """All that can be seen of one order. `shown` are the events that its customer's phone shows for it."""

    order: dict[str, Any] | None
    history: Sequence[str] = ()
    payments: Sequence[dict[str, Any]] = ()
    ledger: Sequence[dict[str, Any]] = ()
    received: Sequence[dict[str, Any]] = ()
    shown: Sequence[str] = ()


@dataclass(frozen=True)
class Seen:
    """What was seen of everything."""

    lives: Sequence[Life]
    orders: dict[str, Facts]
    strangers: dict[str, Facts] = field(default_factory=dict)
    """Orders of our customers whose confirmation never reached them."""
    dead: Sequence[str] = ()
    cancellations: bool = True
    """Whether the contract lets partners know of orders that are cancelled."""


def judge(seen: Seen) -> list[Finding]:
    """Everything that is wrong."""
    found = [Finding("stuck", "dead letter", words) for words in seen.dead]
    for life in seen.lives:
        about = life.order_id or f"order {life.number}"
        if life.failure:
            found.append(Finding("stuck", about, f"{life.plan}: {life.failure}"))
        if len(life.order_ids) > 1:
            found.append(Finding("doubled", about, f"one check became {sorted(life.order_ids)}"))
        if life.order_id:
            found += _order(about, seen.orders[life.order_id], life, cancellations=seen.cancellations)
    for about, facts in seen.strangers.items():
        found += _order(about, facts, None, cancellations=seen.cancellations)
    return found


def _order(about: str, facts: Facts, life: Life | None, *, cancellations: bool) -> Iterator[Finding]:
    order = facts.order
    if order is None:
        yield Finding("lost", about, "accepted, and not there")
        return
    if order["status"] not in ENDS:
        yield Finding("stuck", about, f"still {order['status']}")
    yield from (Finding(kind, about, words) for kind, words in _steps(order, facts.history, life))
    yield from (Finding(kind, about, words) for kind, words in _money(order, facts, life))
    yield from (Finding(kind, about, words) for kind, words in _partner(facts, cancellations=cancellations))
    yield from (Finding(kind, about, words) for kind, words in _phone(facts))


def _steps(order: dict[str, Any], history: Sequence[str], life: Life | None) -> Iterator[tuple[Kind, str]]:
    """History is a way that orders may go, and ends where the order is; what was promised lies on it."""
    for status, times in Counter(history).items():
        if times > 1:
            yield "doubled", f"{times} times {status} in its history"
    if not history or history[0] != "pending" or history[-1] != order["status"]:
        yield "lost", f"the order is {order['status']}, its history {' → '.join(history) or 'empty'}"
    for before, after in pairwise(history):
        if OrderStatus(after) not in NEXT[OrderStatus(before)]:
            yield "lost", f"{before} → {after} in its history"
    for status in sorted(life.promises - set(history)) if life else ():
        yield "lost", f"it was said to be {status}, and its history is {' → '.join(history)}"


def _money(order: dict[str, Any], facts: Facts, life: Life | None) -> Iterator[tuple[Kind, str]]:
    """What the bank has captured paid the order once, or went back; the order and the records say so, too."""
    captured = sum(entry["captured"] for entry in facts.ledger)
    refunded = sum(entry["refunded"] for entry in facts.ledger)
    due = captured - (order["total_amount"] if order["status"] == "delivered" else 0)
    if due < 0:
        yield "lost", f"delivered for {captured} of {order['total_amount']}"
    elif refunded < due:
        yield "stuck", f"{due} is to go back, {refunded} has; the order says {order['refund_status']}"
    elif refunded > due:
        yield "doubled", f"{due} is to go back, {refunded} has"
    if (order["paid_amount"], order["refunded_amount"]) != (captured, refunded):
        said = f"{order['paid_amount']} paid and {order['refunded_amount']} back"
        yield "lost", f"the order says {said}, the bank {captured} and {refunded}"
    if order["refund_status"] != ("refunded" if due else "none"):
        yield "stuck", f"{due} was to go back, and the order says {order['refund_status']}"
    recorded = Counter(payment["payment_id"] for payment in facts.payments)
    for payment_id, times in recorded.items():
        if times > 1:
            yield "doubled", f"payment {payment_id} is recorded {times} times"
    for payment_id in sorted({entry["payment_id"] for entry in facts.ledger} ^ set(recorded)):
        yield "lost", f"payment {payment_id} is known to the bank or to the records only"
    if sum(payment["outcome"] in ("paid", "overpaid") for payment in facts.payments) > 1:
        yield "doubled", "two payments pay it"
    for payment_id, status in life.payments.items() if life else ():
        outcomes = {payment["outcome"] for payment in facts.payments if payment["payment_id"] == payment_id}
        if not outcomes <= ({"paid", "overpaid", "failed"} if status == 200 else {"insufficient", "conflict"}):
            yield "lost", f"the bank was answered {status} for {payment_id}, and the records say {outcomes}"


def _partner(facts: Facts, *, cancellations: bool) -> Iterator[tuple[Kind, str]]:
    """A partner is told of what is paid, by one message however often it comes, and of its cancellation."""
    calls = {
        kind: {call["webhook_id"] for call in facts.received if call["kind"] == kind}
        for kind in ("order", "cancellation")
    }
    if any(not call["signature_valid"] for call in facts.received):
        yield "lost", "the partner was told without a valid signature"
    for kind, ids in calls.items():
        if len(ids) > 1:
            yield "doubled", f"the partner was told of its {kind} by {len(ids)} messages"
    if calls["order"] and "paid" not in facts.history:
        yield "doubled", "the partner was told of what was never paid"
    if not calls["order"] and "ready" in facts.history:
        yield "lost", "ready, and the partner never knew"
    if cancellations and calls["order"] and "cancelled" in facts.history and not calls["cancellation"]:
        yield "lost", "cancelled, and the partner goes on"


def _phone(facts: Facts) -> Iterator[tuple[Kind, str]]:
    """The phone shows each step once."""
    wanted = {EVENT_OF[status] for status in facts.history if status in EVENT_OF}
    shown = Counter(event for event in facts.shown if event in EVENT_OF.values())
    for event in sorted(wanted - shown.keys()):
        yield "lost", f"the phone does not show {event}"
    for event in sorted(shown.keys() - wanted):
        yield "lost", f"the phone shows {event}, which is not in the history"
    for event, times in shown.items():
        if times > 1:
            yield "doubled", f"the phone shows {event} {times} times"
