"""What orders count beside requests: how orders move, refunds and their money, and what stores disagree about."""

from services.orders.domain import NEXT, Order, OrderStatus
from services.orders.money import Refund
from services.orders.reconciliation import Found, Kind
from services.orders.usecases.ports import Answer
from services.orders.usecases.reconcile import say_in_log
from services.runtime import metrics

BEGINNING = "none"
"""Where an order comes from that is new."""

_CURRENCIES = metrics.Names(64)
"""As many as banks here are likely to know; contracts name none of them."""

_transitions = metrics.METER.create_counter(
    "delivery.orders.transitions",
    unit="{transition}",
    description="Orders by the state they left, and the next.",
)
_asked = metrics.METER.create_counter(
    "delivery.refunds.attempts", unit="{attempt}", description="Banks asked for a refund, by what came of it."
)
_refunded = metrics.METER.create_counter(
    "delivery.refunds.amount", description="Money that went back, in minor units of the currency."
)
_findings = metrics.METER.create_counter(
    "delivery.reconciliation.findings",
    unit="{finding}",
    description="What stores disagreed about, by kind, and whether it was mended or reported.",
)

metrics.from_zero(_transitions, [{"from": BEGINNING, "to": str(OrderStatus.PENDING)}])
metrics.from_zero(_transitions, ({"from": str(old), "to": str(new)} for old in NEXT for new in NEXT[old]))
metrics.from_zero(_asked, ({"outcome": outcome} for outcome in ("refunded", "refused", "failed")))
metrics.from_zero(_findings, ({"kind": str(kind), "outcome": kind.outcome} for kind in Kind))


def moved(before: Order | None, after: Order) -> None:
    """An order was made, or has changed."""
    left = BEGINNING if before is None else str(before.status)
    if left != after.status:
        _transitions.add(1, {"from": left, "to": str(after.status)})


def asked(answer: Answer) -> Answer:
    """A bank was asked; hands its answer on."""
    _asked.add(1, {"outcome": "refunded" if answer.done else "refused" if answer.final else "failed"})
    return answer


def refunded(refund: Refund) -> None:
    """A bank has paid back."""
    _refunded.add(refund.amount, {"currency": _CURRENCIES.known(refund.currency)})


def disagreed(order_id: str, found: Found) -> None:
    """Stores disagreed about an order; says so in the log, too."""
    say_in_log(order_id, found)
    _findings.add(1, {"kind": str(found.kind), "outcome": found.kind.outcome})
