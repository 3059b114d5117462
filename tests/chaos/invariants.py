"""Invariants of orders: status, history, payments, partner calls and push notifications agree."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from services.orders.domain.orders import TRANSITIONS, OrderStatus
from tests.chaos.workload import FINAL_ORDER_STATUSES, OrderScenario

type FindingKind = Literal["lost", "duplicated", "stuck"]

EVENT_BY_STATUS = {
    "paid": "orders.paid",
    "ready": "orders.ready",
    "delivering": "orders.assigned",
    "delivered": "orders.delivered",
    "cancelled": "orders.cancelled",
    "expired": "orders.expired",
}
"""Push notification of each status."""


class Finding(NamedTuple):
    """A violated invariant."""

    kind: FindingKind
    subject: str
    description: str


@dataclass(frozen=True)
class OrderObservation:
    """Observed state of one order. `push_events` are the events shown on the customer's device."""

    order: dict[str, Any] | None
    history: Sequence[str] = ()
    payments: Sequence[dict[str, Any]] = ()
    ledger: Sequence[dict[str, Any]] = ()
    partner_calls: Sequence[dict[str, Any]] = ()
    push_events: Sequence[str] = ()


@dataclass(frozen=True)
class Observation:
    """Observed state of all orders and of dead letters."""

    scenarios: Sequence[OrderScenario]
    orders: dict[str, OrderObservation]
    unconfirmed_orders: dict[str, OrderObservation] = field(default_factory=dict)
    """Orders of the customers whose confirmation response was lost."""
    dead_letters: Sequence[str] = ()
    reports_cancellations: bool = True
    """True if the contract routes cancellations of orders to partners."""


def check_invariants(observation: Observation) -> list[Finding]:
    """Return all violations."""
    findings = [Finding("stuck", "dead letter", description) for description in observation.dead_letters]
    for scenario in observation.scenarios:
        subject = scenario.order_id or f"order {scenario.number}"
        if scenario.failure:
            findings.append(Finding("stuck", subject, f"{scenario.plan}: {scenario.failure}"))
        if len(scenario.order_ids) > 1:
            findings.append(
                Finding("duplicated", subject, f"one check has several orders: {sorted(scenario.order_ids)}")
            )
        if scenario.order_id:
            findings += _check_order(
                subject,
                observation.orders[scenario.order_id],
                scenario,
                reports_cancellations=observation.reports_cancellations,
            )
    for order_id, observed in observation.unconfirmed_orders.items():
        findings += _check_order(order_id, observed, None, reports_cancellations=observation.reports_cancellations)
    return findings


def _check_order(
    subject: str, observed: OrderObservation, scenario: OrderScenario | None, *, reports_cancellations: bool
) -> Iterator[Finding]:
    order = observed.order
    if order is None:
        yield Finding("lost", subject, "confirmed, but not found")
        return
    if order["status"] not in FINAL_ORDER_STATUSES:
        yield Finding("stuck", subject, f"still {order['status']}")
    yield from (
        Finding(kind, subject, description) for kind, description in _check_history(order, observed.history, scenario)
    )
    yield from (Finding(kind, subject, description) for kind, description in _check_money(order, observed, scenario))
    yield from (
        Finding(kind, subject, description)
        for kind, description in _check_partner_calls(observed, reports_cancellations=reports_cancellations)
    )
    yield from (Finding(kind, subject, description) for kind, description in _check_push_events(observed))


def _check_history(
    order: dict[str, Any], history: Sequence[str], scenario: OrderScenario | None
) -> Iterator[tuple[FindingKind, str]]:
    """Check that history is a path of the state machine, ends with the status, and contains all reported statuses."""
    for status, times in Counter(history).items():
        if times > 1:
            yield "duplicated", f"{times} history entries with status {status}"
    if not history or history[0] != "pending" or history[-1] != order["status"]:
        yield "lost", f"status is {order['status']}, history is {' → '.join(history) or 'empty'}"
    for before, after in pairwise(history):
        if OrderStatus(after) not in TRANSITIONS[OrderStatus(before)]:
            yield "lost", f"invalid transition in history: {before} → {after}"
    for status in sorted(scenario.reported_statuses - set(history)) if scenario else ():
        yield "lost", f"reported status {status} is missing from history {' → '.join(history)}"


def _check_money(
    order: dict[str, Any], observed: OrderObservation, scenario: OrderScenario | None
) -> Iterator[tuple[FindingKind, str]]:
    """Check that captured money paid the order once or was refunded, and that order and payment records agree."""
    captured = sum(entry["captured"] for entry in observed.ledger)
    refunded = sum(entry["refunded"] for entry in observed.ledger)
    refund_due = captured - (order["total_amount"] if order["status"] == "delivered" else 0)
    if refund_due < 0:
        yield "lost", f"delivered with {captured} of {order['total_amount']} captured"
    elif refunded < refund_due:
        yield "stuck", f"refunded {refunded} of {refund_due}; refund status is {order['refund_status']}"
    elif refunded > refund_due:
        yield "duplicated", f"refunded {refunded} instead of {refund_due}"
    if (order["paid_amount"], order["refunded_amount"]) != (captured, refunded):
        amounts = f"{order['paid_amount']} paid and {order['refunded_amount']} refunded"
        yield "lost", f"order has {amounts}, ledger of the bank has {captured} and {refunded}"
    if order["refund_status"] != ("refunded" if refund_due else "none"):
        yield "stuck", f"refund due is {refund_due}, but refund status is {order['refund_status']}"
    recorded = Counter(payment["payment_id"] for payment in observed.payments)
    for payment_id, times in recorded.items():
        if times > 1:
            yield "duplicated", f"payment {payment_id} has {times} records"
    for payment_id in sorted({entry["payment_id"] for entry in observed.ledger} ^ set(recorded)):
        yield "lost", f"payment {payment_id} exists only in the ledger of the bank or only in the records"
    if sum(payment["outcome"] in ("paid", "overpaid") for payment in observed.payments) > 1:
        yield "duplicated", "two payments were applied"
    for payment_id, status in scenario.callback_statuses.items() if scenario else ():
        outcomes = {payment["outcome"] for payment in observed.payments if payment["payment_id"] == payment_id}
        if not outcomes <= ({"paid", "overpaid", "failed"} if status == 200 else {"insufficient", "conflict"}):
            yield (
                "lost",
                f"callback of payment {payment_id} returned {status}, but the recorded outcomes are {outcomes}",
            )


def _check_partner_calls(
    observed: OrderObservation, *, reports_cancellations: bool
) -> Iterator[tuple[FindingKind, str]]:
    """Check that a partner received one signed message for a paid order and one for its cancellation."""
    calls = {
        kind: {call["webhook_id"] for call in observed.partner_calls if call["kind"] == kind}
        for kind in ("order", "cancellation")
    }
    if any(not call["signature_valid"] for call in observed.partner_calls):
        yield "lost", "partner call has an invalid signature"
    for kind, ids in calls.items():
        if len(ids) > 1:
            yield "duplicated", f"{len(ids)} different partner calls for one {kind}"
    if calls["order"] and "paid" not in observed.history:
        yield "duplicated", "partner call for an order that was never paid"
    if not calls["order"] and "ready" in observed.history:
        yield "lost", "ready, but no partner call for the order"
    if reports_cancellations and calls["order"] and "cancelled" in observed.history and not calls["cancellation"]:
        yield "lost", "cancelled, but no partner call for the cancellation"


def _check_push_events(observed: OrderObservation) -> Iterator[tuple[FindingKind, str]]:
    """Check that the device shows each status once."""
    expected = {EVENT_BY_STATUS[status] for status in observed.history if status in EVENT_BY_STATUS}
    shown = Counter(event for event in observed.push_events if event in EVENT_BY_STATUS.values())
    for event in sorted(expected - shown.keys()):
        yield "lost", f"push notification is missing: {event}"
    for event in sorted(shown.keys() - expected):
        yield "lost", f"push notification of an event that is not in history: {event}"
    for event, times in shown.items():
        if times > 1:
            yield "duplicated", f"{times} push notifications of {event}"
