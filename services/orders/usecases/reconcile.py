"""Comparing what all stores say of orders, mending what follows from elsewhere, and telling people of the rest."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from generated.problems import Reason
from services.orders.domain import payments as payment_rules
from services.orders.domain import reconciliation
from services.orders.domain.orders import HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.domain.reconciliation import REPORTED_KINDS, Discrepancy, DiscrepancyKind, OrderRecords
from services.orders.usecases import event_factory
from services.orders.usecases.ports import HistoryRepository, ReconciliationRepository, ReconciliationUnitOfWork
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)

BATCH_SIZE = 100
"""Orders that are compared at a time."""

PARTNER_NOT_NOTIFIED = "PARTNER_NOT_NOTIFIED"
ORDER_NOT_PICKED_UP = "ORDER_NOT_PICKED_UP"


@dataclass(frozen=True, slots=True)
class ReconciliationPolicy:
    """When orders are compared: after `quiet` without a change, and `again` later, up to `horizon` after it.

    `told` and `fetched` are how long a paid order may wait for its partner, and a ready one for a deliverer.
    """

    quiet_period: timedelta
    recheck_interval: timedelta
    window: timedelta
    partner_notification_timeout: timedelta
    pickup_timeout: timedelta


type DiscrepancyReporter = Callable[[str, Discrepancy], None]


def log_discrepancy(order_id: str, discrepancy: Discrepancy) -> None:
    """One disagreement, for those who read logs."""
    log.warning("order %s: %s, %s: %s", order_id, discrepancy.kind, discrepancy.kind.outcome, discrepancy.detail)


async def reconcile(
    repository: ReconciliationRepository,
    history: HistoryRepository,
    clock: Clock,
    policy: ReconciliationPolicy,
    report: DiscrepancyReporter = log_discrepancy,
) -> int:
    """Compares some orders whose turn it is; returns how many. One process does at a time, the others find nothing."""
    async with repository.try_acquire_leadership() as mine:
        return (
            await reconcile_batch(repository, history, clock, policy, clock() - policy.recheck_interval, report)
            if mine
            else 0
        )


async def reconcile_batch(
    repository: ReconciliationRepository,
    history: HistoryRepository,
    clock: Clock,
    policy: ReconciliationPolicy,
    reconciled_before: datetime,
    report: DiscrepancyReporter,
) -> int:
    """Compares some orders that were not compared since they changed, or since `long_ago`; returns how many.

    Harmless to do twice at once: what is repaired has an id of its own, and an alert is raised once.
    """
    began = clock()
    order_ids = await repository.list_due_order_ids(began - policy.quiet_period, reconciled_before, BATCH_SIZE)
    if not order_ids:
        return 0
    # Documents first: they follow from what is kept, so that what is read later is never behind them.
    written = _HistoryDocuments(*await history.find_by_orders(order_ids))
    for order_id, kept in (await repository.load_records(order_ids)).items():
        if reconciliation.find_discrepancies(written.merge_into(kept, order_id)):
            await _reconcile_order(repository, history, clock, policy, written, order_id, report)
    await repository.mark_reconciled(order_ids, began, began - policy.window)
    return len(order_ids)


class _HistoryDocuments:
    """Documents by order."""

    def __init__(self, history: Sequence[HistoryEntry], payments: Sequence[payment_rules.PaymentRecord]) -> None:
        self._history = history
        self._payments = payments

    def merge_into(self, records: OrderRecords, order_id: str) -> OrderRecords:
        """What all stores say of an order."""
        history = [entry for entry in self._history if entry.order_id == order_id]
        payments = [payment for payment in self._payments if payment.order_id == order_id]
        return replace(records, history=history, payment_documents=payments)


async def _reconcile_order(
    repository: ReconciliationRepository,
    history: HistoryRepository,
    clock: Clock,
    policy: ReconciliationPolicy,
    history_documents: _HistoryDocuments,
    order_id: str,
    report: DiscrepancyReporter,
) -> None:
    try:
        async with repository.unit_of_work() as unit:
            kept = await unit.load_records(order_id)
            found = reconciliation.find_discrepancies(history_documents.merge_into(kept, order_id))
            await _repair(unit, kept.order, found, order_id, clock(), clock() - policy.window)
        for each in found:
            if each.entry is not None:
                await history.save_history_entry(each.entry)
            if each.payment is not None:
                await history.save_payment(each.payment)
            report(order_id, each)
    # The boundary of one order: whatever is wrong with it is logged, and holds up no other.
    except Exception as error:
        if isinstance(error, ApiError) and error.reason is Reason.UPSTREAM_UNAVAILABLE:
            raise
        log.exception("order %s cannot be reconciled", order_id)


async def _repair(
    unit: ReconciliationUnitOfWork,
    order: Order | None,
    discrepancies: Sequence[Discrepancy],
    order_id: str,
    now: datetime,
    cutoff: datetime,
) -> None:
    leaving = await unit.list_pending_event_ids(order_id)
    for each in discrepancies:
        if each.kind in REPORTED_KINDS:
            await _raise_alert(unit, order_id, each.kind, f"{each.detail}.", now)
        elif each.kind is DiscrepancyKind.PAYMENT_ROW_MISSING and each.payment is not None:
            await unit.save_payment(each.payment)
        elif each.refund is not None:
            await unit.add_refund(each.refund)
            if each.refund.status is RefundStatus.REQUESTED:
                await unit.publish(event_factory.build_refund_requested(each.refund))
        elif each.kind is DiscrepancyKind.REFUND_TOTAL_MISMATCH and order is not None:
            after = payment_rules.apply_refunds(order, await unit.list_refunds(order_id, order.bank_id), now)
            await unit.update_order(order, after, "system", "reconciliation")
        elif each.kind is DiscrepancyKind.HISTORY_MISSING and each.entry is not None and order is not None:
            await _republish(unit, order, each.entry, leaving, cutoff)


async def _republish(
    unit: ReconciliationUnitOfWork,
    order: Order,
    transition: HistoryEntry,
    pending_event_ids: set[str],
    cutoff: datetime,
) -> None:
    """Whoever has taken the event before knows it by its id, as long as that is remembered."""
    event = event_factory.rebuild_event(order, transition)
    if transition.at > cutoff and event_factory.derive_event_id(event) not in pending_event_ids:
        await unit.publish(event)


async def _raise_alert(unit: ReconciliationUnitOfWork, order_id: str, reason: str, detail: str, now: datetime) -> bool:
    alert = event_factory.build_order_alert(order_id, reason, detail, now)
    first = await unit.register_alert(alert.subject, alert.reason, now)
    if first:
        await unit.publish(alert)
    return first


async def alert_stuck_orders(repository: ReconciliationRepository, clock: Clock, policy: ReconciliationPolicy) -> int:
    """Raises an alert for some orders that go no further, once for each; returns how many.

    An order whose partner was not told is said to be paid once more, in case the first word was lost.
    """
    now = clock()
    async with repository.unit_of_work() as unit:
        untold = await unit.get_unnotified_orders_for_update(
            now - policy.partner_notification_timeout, PARTNER_NOT_NOTIFIED, BATCH_SIZE
        )
        for order in untold:
            detail = f"The order is paid, but partner {order.partner.id} has not taken it."
            await _raise_alert(unit, order.id, PARTNER_NOT_NOTIFIED, detail, now)
            leaving = await unit.list_pending_event_ids(order.id)
            for step in reconciliation.select_status_changes((await unit.load_records(order.id)).transitions):
                if step.status is OrderStatus.PAID:
                    await _republish(unit, order, step, leaving, now - policy.window)
        unfetched = await unit.get_unassigned_orders_for_update(
            now - policy.pickup_timeout, ORDER_NOT_PICKED_UP, BATCH_SIZE
        )
        for order in unfetched:
            await _raise_alert(
                unit, order.id, ORDER_NOT_PICKED_UP, "The order is ready, but no deliverer has taken it.", now
            )
    return len(untold) + len(unfetched)


async def warn_about_outbox_backlog(
    repository: ReconciliationRepository, clock: Clock, policy: ReconciliationPolicy
) -> int:
    """Logs that events do not leave; no alert would, either."""
    if waiting := await repository.count_overdue_events(clock() - policy.quiet_period):
        log.error("%d events have waited longer than %s to leave", waiting, policy.quiet_period)
    return 0


async def drain(work: Callable[[], Awaitable[int]]) -> int:
    """Does the work until it finds nothing more; returns how much it was."""
    total = 0
    while done := await work():
        total += done
    return total
