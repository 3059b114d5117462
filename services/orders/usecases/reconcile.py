"""Comparing what all stores say of orders, mending what follows from elsewhere, and telling people of the rest."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from generated.problems import Reason
from services.orders import facts, money, reconciliation
from services.orders.domain import HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.reconciliation import REPORTED, Books, Found, Kind
from services.orders.usecases.ports import Documents, ReconcileStore, ReconcileUnit
from services.runtime.clock import Clock
from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)

BATCH = 100
"""Orders that are compared at a time."""

PARTNER_NOT_TOLD = "PARTNER_NOT_TOLD"
READY_TOO_LONG = "READY_TOO_LONG"


@dataclass(frozen=True, slots=True)
class Terms:
    """When orders are compared: after `quiet` without a change, and `again` later, up to `horizon` after it.

    `told` and `fetched` are how long a paid order may wait for its partner, and a ready one for a deliverer.
    """

    quiet: timedelta
    again: timedelta
    horizon: timedelta
    told: timedelta
    fetched: timedelta


type Say = Callable[[str, Found], None]


def say_in_log(order_id: str, found: Found) -> None:
    """One disagreement, for those who read logs."""
    log.warning("order %s: %s, %s: %s", order_id, found.kind, found.kind.outcome, found.detail)


async def reconcile(
    store: ReconcileStore, documents: Documents, clock: Clock, terms: Terms, say: Say = say_in_log
) -> int:
    """Compares some orders whose turn it is; returns how many. One process does at a time, the others find nothing."""
    async with store.leading() as mine:
        return await compare_some(store, documents, clock, terms, clock() - terms.again, say) if mine else 0


async def compare_some(
    store: ReconcileStore, documents: Documents, clock: Clock, terms: Terms, long_ago: datetime, say: Say
) -> int:
    """Compares some orders that were not compared since they changed, or since `long_ago`; returns how many.

    Harmless to do twice at once: what is mended has an id of its own, and an alert is raised once.
    """
    began = clock()
    order_ids = await store.due(began - terms.quiet, long_ago, BATCH)
    if not order_ids:
        return 0
    # Documents first: they follow from what is kept, so that what is read later is never behind them.
    written = _Written(*await documents.of_orders(order_ids))
    for order_id, kept in (await store.kept(order_ids)).items():
        if reconciliation.compare(written.beside(kept, order_id)):
            await _settle(store, documents, clock, terms, written, order_id, say)
    await store.reconciled(order_ids, began, began - terms.horizon)
    return len(order_ids)


class _Written:
    """Documents by order."""

    def __init__(self, history: Sequence[HistoryEntry], payments: Sequence[money.PaymentRecord]) -> None:
        self._history = history
        self._payments = payments

    def beside(self, kept: Books, order_id: str) -> Books:
        """What all stores say of an order."""
        history = [entry for entry in self._history if entry.order_id == order_id]
        payments = [payment for payment in self._payments if payment.order_id == order_id]
        return replace(kept, history=history, documents=payments)


async def _settle(
    store: ReconcileStore,
    documents: Documents,
    clock: Clock,
    terms: Terms,
    written: _Written,
    order_id: str,
    say: Say,
) -> None:
    try:
        async with store.unit() as unit:
            kept = await unit.kept(order_id)
            found = reconciliation.compare(written.beside(kept, order_id))
            await _mend(unit, kept.order, found, order_id, clock(), clock() - terms.horizon)
        for each in found:
            if each.entry is not None:
                await documents.put_history(each.entry)
            if each.payment is not None:
                await documents.put_payment(each.payment)
            say(order_id, each)
    # The boundary of one order: whatever is wrong with it is logged, and holds up no other.
    except Exception as error:
        if isinstance(error, Refusal) and error.reason is Reason.UPSTREAM_UNAVAILABLE:
            raise
        log.exception("order %s cannot be reconciled", order_id)


async def _mend(
    unit: ReconcileUnit, order: Order | None, found: Sequence[Found], order_id: str, now: datetime, horizon: datetime
) -> None:
    leaving = await unit.leaving(order_id)
    for each in found:
        if each.kind in REPORTED:
            await _alert(unit, order_id, each.kind, f"{each.detail}.", now)
        elif each.kind is Kind.PAYMENT_LOST and each.payment is not None:
            await unit.put_payment(each.payment)
        elif each.refund is not None:
            await unit.add_refund(each.refund)
            if each.refund.status is RefundStatus.REQUESTED:
                await unit.publish(facts.refund_requested(each.refund))
        elif each.kind is Kind.REFUND_SUM_WRONG and order is not None:
            after = money.follow(order, await unit.refunds(order_id, order.bank_id), now)
            await unit.change_order(order, after, "system", "reconciliation")
        elif each.kind is Kind.HISTORY_MISSING and each.entry is not None and order is not None:
            await _say_again(unit, order, each.entry, leaving, horizon)


async def _say_again(
    unit: ReconcileUnit, order: Order, step: HistoryEntry, leaving: set[str], horizon: datetime
) -> None:
    """Whoever has taken the event before knows it by its id, as long as that is remembered."""
    event = facts.again(order, step)
    if step.at > horizon and facts.event_id(event) not in leaving:
        await unit.publish(event)


async def _alert(unit: ReconcileUnit, order_id: str, reason: str, detail: str, now: datetime) -> bool:
    alert = facts.order_alert(order_id, reason, detail, now)
    first = await unit.alert_once(alert.subject, alert.reason, now)
    if first:
        await unit.publish(alert)
    return first


async def alert_stuck(store: ReconcileStore, clock: Clock, terms: Terms) -> int:
    """Raises an alert for some orders that go no further, once for each; returns how many.

    An order whose partner was not told is said to be paid once more, in case the first word was lost.
    """
    now = clock()
    async with store.unit() as unit:
        untold = await unit.untold(now - terms.told, PARTNER_NOT_TOLD, BATCH)
        for order in untold:
            detail = f"The order is paid, but partner {order.partner.id} has not taken it."
            await _alert(unit, order.id, PARTNER_NOT_TOLD, detail, now)
            leaving = await unit.leaving(order.id)
            for step in reconciliation.told((await unit.kept(order.id)).steps):
                if step.status is OrderStatus.PAID:
                    await _say_again(unit, order, step, leaving, now - terms.horizon)
        unfetched = await unit.unfetched(now - terms.fetched, READY_TOO_LONG, BATCH)
        for order in unfetched:
            await _alert(unit, order.id, READY_TOO_LONG, "The order is ready, but no deliverer has taken it.", now)
    return len(untold) + len(unfetched)


async def warn_of_waiting(store: ReconcileStore, clock: Clock, terms: Terms) -> int:
    """Logs that events do not leave; no alert would, either."""
    if waiting := await store.waiting(clock() - terms.quiet):
        log.error("%d events have waited longer than %s to leave", waiting, terms.quiet)
    return 0


async def exhaust(work: Callable[[], Awaitable[int]]) -> int:
    """Does the work until it finds nothing more; returns how much it was."""
    total = 0
    while done := await work():
        total += done
    return total
