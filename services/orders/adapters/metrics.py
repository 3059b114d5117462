"""Domain metrics of orders: status transitions, refunds and discrepancies."""

from datetime import datetime

from sqlalchemy import func, select

from services.orders.adapters.postgres.tables import refunds
from services.orders.domain.orders import TRANSITIONS, Order, OrderStatus
from services.orders.domain.payments import Refund, RefundResponse
from services.orders.domain.reconciliation import Discrepancy, DiscrepancyKind
from services.orders.usecases.reconciliation import log_discrepancy
from services.runtime.process.metrics_endpoint import GaugeRefresh
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from services.runtime.telemetry import metrics

NO_STATUS = "none"
"""Label of the previous status of a new order."""

_CURRENCIES = metrics.BoundedLabel(64)
"""Bounded set of currency labels, since no contract lists the currencies."""

_transitions = metrics.Counter(
    "delivery.orders.transitions", "Status transitions of orders, by previous and next status.", "{transition}"
)
_refund_attempts = metrics.Counter("delivery.refunds.attempts", "Refund requests to banks, by outcome.", "{attempt}")
_refund_amount = metrics.Counter("delivery.refunds.amount", "Refunded amount, in minor units of the currency.")
_discrepancies = metrics.Counter(
    "delivery.reconciliation.discrepancies",
    "Discrepancies between stores, by kind and outcome (repaired or reported).",
    "{discrepancy}",
)
_failed_refunds = metrics.ObservableGauge(
    "delivery.refunds.failed", "Failed refunds that are neither retried nor settled.", "{refund}"
)
_COUNT_FAILED_REFUNDS = Statement(select(func.count().label("refunds")).where(refunds.c.status == "failed"))
_last_success = metrics.ObservableGauge(
    "delivery.reconciliation.last_success_timestamp",
    "Time of the last reconciliation of all due orders without an error, as Unix time.",
    "s",
)

_transitions.initialise_to_zero([{"from": NO_STATUS, "to": str(OrderStatus.PENDING)}])
_transitions.initialise_to_zero({"from": str(old), "to": str(new)} for old in TRANSITIONS for new in TRANSITIONS[old])
_refund_attempts.initialise_to_zero({"outcome": outcome} for outcome in ("refunded", "rejected", "failed"))
_discrepancies.initialise_to_zero({"kind": str(kind), "outcome": kind.outcome} for kind in DiscrepancyKind)


def record_transition(before: Order | None, after: Order) -> None:
    """Count the transition of an order, if its status has changed; a new order has `before=None`."""
    previous_status = NO_STATUS if before is None else str(before.status)
    if previous_status != after.status:
        _transitions.add(1, {"from": previous_status, "to": str(after.status)})


def record_refund_attempt(response: RefundResponse) -> None:
    """Count a refund request by its outcome."""
    outcome = "refunded" if response.is_refunded else "rejected" if response.is_final else "failed"
    _refund_attempts.add(1, {"outcome": outcome})


def record_refund(refund: Refund) -> None:
    """Add the amount of a completed refund."""
    _refund_amount.add(refund.amount, {"currency": _CURRENCIES.normalise(refund.currency)})


def build_failed_refunds_refresh(database: Database) -> GaugeRefresh:
    """Return a function that refreshes the number of failed refunds from the database."""

    async def refresh() -> None:
        _failed_refunds.set({})
        row = await database.fetch_one(_COUNT_FAILED_REFUNDS)
        _failed_refunds.set({(): row["refunds"] if row else 0})

    return refresh


def record_reconciliation(at: datetime) -> None:
    """Record the time of a reconciliation without an error."""
    _last_success.set({(): at.timestamp()})


def record_discrepancy(order_id: str, discrepancy: Discrepancy) -> None:
    """Log and count a discrepancy."""
    log_discrepancy(order_id, discrepancy)
    _discrepancies.add(1, {"kind": str(discrepancy.kind), "outcome": discrepancy.kind.outcome})
