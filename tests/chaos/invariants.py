"""Whether everybody was told the same: orders, history, money, kitchens and phones, compared from outside."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from services.orders.domain.orders import TRANSITIONS, OrderStatus
from tests.chaos.workload import FINAL_ORDER_STATUSES, OrderScenario

type FindingKind = Literal["lost", "doubled", "stuck"]

EVENT_BY_STATUS = {
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

    kind: FindingKind
    subject: str
    description: str


@dataclass(frozen=True)
class OrderObservation:
    """All that can be seen of one order. `shown` are the events that its customer's phone shows for it."""

    order: dict[str, Any] | None
    history: Sequence[str] = ()
    payments: Sequence[dict[str, Any]] = ()
    ledger: Sequence[dict[str, Any]] = ()
    partner_calls: Sequence[dict[str, Any]] = ()
    push_events: Sequence[str] = ()


@dataclass(frozen=True)
class Observation:
    """What was seen of everything."""

    scenarios: Sequence[OrderScenario]
    orders: dict[str, OrderObservation]
    unconfirmed_orders: dict[str, OrderObservation] = field(default_factory=dict)
    """Orders of our customers whose confirmation never reached them."""
    dead_letters: Sequence[str] = ()
    reports_cancellations: bool = True
    """Whether the contract lets partners know of orders that are cancelled."""


def check_invariants(observation: Observation) -> list[Finding]:
    """Everything that is wrong."""
    found = [Finding("stuck", "dead letter", words) for words in observation.dead_letters]
    for life in observation.scenarios:
        about = life.order_id or f"order {life.number}"
        if life.failure:
            found.append(Finding("stuck", about, f"{life.plan}: {life.failure}"))
        if len(life.order_ids) > 1:
            found.append(Finding("doubled", about, f"one check became {sorted(life.order_ids)}"))
        if life.order_id:
            found += _check_order(
                about, observation.orders[life.order_id], life, reports_cancellations=observation.reports_cancellations
            )
    for about, facts in observation.unconfirmed_orders.items():
        found += _check_order(about, facts, None, reports_cancellations=observation.reports_cancellations)
    return found


def _check_order(
    subject: str, observed: OrderObservation, scenario: OrderScenario | None, *, reports_cancellations: bool
) -> Iterator[Finding]:
    order = observed.order
    if order is None:
        yield Finding("lost", subject, "accepted, and not there")
        return
    if order["status"] not in FINAL_ORDER_STATUSES:
        yield Finding("stuck", subject, f"still {order['status']}")
    yield from (Finding(kind, subject, words) for kind, words in _check_history(order, observed.history, scenario))
    yield from (Finding(kind, subject, words) for kind, words in _check_money(order, observed, scenario))
    yield from (
        Finding(kind, subject, words)
        for kind, words in _check_partner_calls(observed, reports_cancellations=reports_cancellations)
    )
    yield from (Finding(kind, subject, words) for kind, words in _check_push_events(observed))


def _check_history(
    order: dict[str, Any], history: Sequence[str], scenario: OrderScenario | None
) -> Iterator[tuple[FindingKind, str]]:
    """History is a way that orders may go, and ends where the order is; what was promised lies on it."""
    for status, times in Counter(history).items():
        if times > 1:
            yield "doubled", f"{times} times {status} in its history"
    if not history or history[0] != "pending" or history[-1] != order["status"]:
        yield "lost", f"the order is {order['status']}, its history {' → '.join(history) or 'empty'}"
    for before, after in pairwise(history):
        if OrderStatus(after) not in TRANSITIONS[OrderStatus(before)]:
            yield "lost", f"{before} → {after} in its history"
    for status in sorted(scenario.reported_statuses - set(history)) if scenario else ():
        yield "lost", f"it was said to be {status}, and its history is {' → '.join(history)}"


def _check_money(
    order: dict[str, Any], observed: OrderObservation, scenario: OrderScenario | None
) -> Iterator[tuple[FindingKind, str]]:
    """What the bank has captured paid the order once, or went back; the order and the records say so, too."""
    captured = sum(entry["captured"] for entry in observed.ledger)
    refunded = sum(entry["refunded"] for entry in observed.ledger)
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
    recorded = Counter(payment["payment_id"] for payment in observed.payments)
    for payment_id, times in recorded.items():
        if times > 1:
            yield "doubled", f"payment {payment_id} is recorded {times} times"
    for payment_id in sorted({entry["payment_id"] for entry in observed.ledger} ^ set(recorded)):
        yield "lost", f"payment {payment_id} is known to the bank or to the records only"
    if sum(payment["outcome"] in ("paid", "overpaid") for payment in observed.payments) > 1:
        yield "doubled", "two payments pay it"
    for payment_id, status in scenario.callback_statuses.items() if scenario else ():
        outcomes = {payment["outcome"] for payment in observed.payments if payment["payment_id"] == payment_id}
        if not outcomes <= ({"paid", "overpaid", "failed"} if status == 200 else {"insufficient", "conflict"}):
            yield "lost", f"the bank was answered {status} for {payment_id}, and the records say {outcomes}"


def _check_partner_calls(
    observed: OrderObservation, *, reports_cancellations: bool
) -> Iterator[tuple[FindingKind, str]]:
    """A partner is told of what is paid, by one message however often it comes, and of its cancellation."""
    calls = {
        kind: {call["webhook_id"] for call in observed.partner_calls if call["kind"] == kind}
        for kind in ("order", "cancellation")
    }
    if any(not call["signature_valid"] for call in observed.partner_calls):
        yield "lost", "the partner was told without a valid signature"
    for kind, ids in calls.items():
        if len(ids) > 1:
            yield "doubled", f"the partner was told of its {kind} by {len(ids)} messages"
    if calls["order"] and "paid" not in observed.history:
        yield "doubled", "the partner was told of what was never paid"
    if not calls["order"] and "ready" in observed.history:
        yield "lost", "ready, and the partner never knew"
    if reports_cancellations and calls["order"] and "cancelled" in observed.history and not calls["cancellation"]:
        yield "lost", "cancelled, and the partner goes on"


def _check_push_events(observed: OrderObservation) -> Iterator[tuple[FindingKind, str]]:
    """The phone shows each step once."""
    wanted = {EVENT_BY_STATUS[status] for status in observed.history if status in EVENT_BY_STATUS}
    shown = Counter(event for event in observed.push_events if event in EVENT_BY_STATUS.values())
    for event in sorted(wanted - shown.keys()):
        yield "lost", f"the phone does not show {event}"
    for event in sorted(shown.keys() - wanted):
        yield "lost", f"the phone shows {event}, which is not in the history"
    for event, times in shown.items():
        if times > 1:
            yield "doubled", f"the phone shows {event} {times} times"
