"""What orders count beside requests: how orders move, refunds and their money, and what stores disagree about."""

from services.orders.domain.orders import TRANSITIONS, Order, OrderStatus
from services.orders.domain.payments import Refund
from services.orders.domain.reconciliation import Discrepancy, DiscrepancyKind
from services.orders.usecases.ports import RefundResponse
from services.orders.usecases.reconcile import log_discrepancy
from services.runtime.telemetry import metrics

NO_STATUS = "none"
"""Where an order comes from that is new."""

_CURRENCIES = metrics.BoundedLabel(64)
"""As many as banks here are likely to know; contracts name none of them."""

_transitions = metrics.METER.create_counter(
    "delivery.orders.transitions",
    unit="{transition}",
    description="Orders by the state they left, and the next.",
)
_refund_attempts = metrics.METER.create_counter(
    "delivery.refunds.attempts", unit="{attempt}", description="Banks asked for a refund, by what came of it."
)
_refund_amount = metrics.METER.create_counter(
    "delivery.refunds.amount", description="Money that went back, in minor units of the currency."
)
_discrepancies = metrics.METER.create_counter(
    "delivery.reconciliation.discrepancies",
    unit="{discrepancy}",
    description="What stores disagreed about, by kind, and whether it was repaired or reported.",
)

metrics.initialise_to_zero(_transitions, [{"from": NO_STATUS, "to": str(OrderStatus.PENDING)}])
metrics.initialise_to_zero(
    _transitions, ({"from": str(old), "to": str(new)} for old in TRANSITIONS for new in TRANSITIONS[old])
)
metrics.initialise_to_zero(_refund_attempts, ({"outcome": outcome} for outcome in ("refunded", "refused", "failed")))
metrics.initialise_to_zero(_discrepancies, ({"kind": str(kind), "outcome": kind.outcome} for kind in DiscrepancyKind))


def record_transition(before: Order | None, after: Order) -> None:
    """An order was made, or has changed."""
    left = NO_STATUS if before is None else str(before.status)
    if left != after.status:
        _transitions.add(1, {"from": left, "to": str(after.status)})


def record_refund_attempt(response: RefundResponse) -> RefundResponse:
    """A bank was asked; hands its answer on."""
    _refund_attempts.add(
        1, {"outcome": "refunded" if response.is_refunded else "refused" if response.is_final else "failed"}
    )
    return response


def record_refund(refund: Refund) -> None:
    """A bank has paid back."""
    _refund_amount.add(refund.amount, {"currency": _CURRENCIES.normalise(refund.currency)})


def record_discrepancy(order_id: str, discrepancy: Discrepancy) -> None:
    """Stores disagreed about an order; says so in the log, too."""
    log_discrepancy(order_id, discrepancy)
    _discrepancies.add(1, {"kind": str(discrepancy.kind), "outcome": discrepancy.kind.outcome})
