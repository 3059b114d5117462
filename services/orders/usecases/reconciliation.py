"""Reconciliation: comparison of the stores, repair of derived data, and alerts about everything else."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from generated.problems import Reason
from services.orders.domain.orders import HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.domain.payments import Payment, PaymentRecord, apply_refunds
from services.orders.domain.reconciliation import (
    REPORTED_KINDS,
    Discrepancy,
    DiscrepancyKind,
    OrderRecords,
    find_discrepancies,
    select_status_changes,
)
from services.orders.usecases.event_factory import (
    build_order_alert,
    build_refund_requested,
    rebuild_event,
)
from services.orders.usecases.event_ids import derive_event_id
from services.orders.usecases.ports import BankReader, HistoryRepository, UnitOfWork
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.unit_of_work import UnitOfWorkFactory

log = logging.getLogger(__name__)

BATCH_SIZE = 100
"""Orders that are reconciled or checked at a time, unless a store is too slow for so many."""

PARTNER_NOT_NOTIFIED = "PARTNER_NOT_NOTIFIED"
ORDER_NOT_PICKED_UP = "ORDER_NOT_PICKED_UP"


@dataclass(frozen=True, slots=True)
class ReconciliationPolicy:
    """Times of reconciliation.

    An order is reconciled after `quiet_period` without a change, and again every `recheck_interval`, up to `window`
    after its last change. `partner_notification_timeout` is the time that a paid order may wait for its partner,
    `pickup_timeout` the time that a ready order may wait for a deliverer.
    """

    quiet_period: timedelta
    recheck_interval: timedelta
    window: timedelta
    partner_notification_timeout: timedelta
    pickup_timeout: timedelta


class RecordsRepository(Protocol):
    """Rows of orders in a unit of work."""

    async def load_for_update(self, order_id: str) -> OrderRecords:
        """Lock an order and return all its rows."""

    async def list_pending_event_ids(self, order_id: str) -> set[str]:
        """Return the ids of the order's events in the outbox."""

    async def list_unnotified_for_update(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        """Lock and return orders paid before that time, not acknowledged by their partner, without such an alert."""

    async def list_unassigned_for_update(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        """Lock and return orders ready before that time, without a deliverer and without such an alert."""


class ReconciliationUnitOfWork(UnitOfWork, Protocol):
    """One transaction of reconciliation."""

    records: RecordsRepository


class ReconciliationRepository(UnitOfWorkFactory[ReconciliationUnitOfWork], Protocol):
    """Repository of orders for reconciliation."""

    banks: BankReader

    def try_acquire_leadership(self) -> AbstractAsyncContextManager[bool]:
        """Try to become the only reconciling process until the block ends; yields whether it succeeded."""

    async def list_due_order_ids(
        self, unchanged_since: datetime, reconciled_before: datetime, size: int, excluded_ids: Collection[str]
    ) -> Sequence[str]:
        """Return orders unchanged since `unchanged_since` and not reconciled since their last change.

        Orders that were last reconciled before `reconciled_before` are due again.
        """

    async def count_recent_orders(self, changed_since: datetime) -> int:
        """Count the orders that have changed since that time."""

    async def find_unknown_payments(self, payments: Sequence[Payment]) -> Sequence[Payment]:
        """Return the payments that are not recorded, or are recorded as failed."""

    async def load_records(self, order_ids: Sequence[str]) -> Mapping[str, OrderRecords]:
        """Return all rows of some orders."""

    async def mark_reconciled(self, order_ids: Sequence[str], at: datetime, cutoff: datetime) -> None:
        """Mark the orders unchanged since `at` as reconciled; those unchanged since `cutoff` are never due again."""

    async def count_overdue_events(self, before: datetime) -> int:
        """Count the outbox events that are older than that time."""


class ReconciliationHistory(HistoryRepository, Protocol):
    """Document store of order history and payments for reconciliation."""

    def iter_order_ids(self, since: datetime, until: datetime, size: int) -> AsyncIterator[Sequence[str]]:
        """Yield the orders that were created or paid from `since` until `until`, in pages of at most `size`.

        An order may be yielded twice.
        """

    async def find_by_orders(self, order_ids: Sequence[str]) -> tuple[Sequence[HistoryEntry], Sequence[PaymentRecord]]:
        """Return all entries and payments of some orders; invalid documents are skipped."""


type DiscrepancyReporter = Callable[[str, Discrepancy], None]


def log_discrepancy(order_id: str, discrepancy: Discrepancy) -> None:
    """Log a discrepancy as a warning."""
    log.warning(
        "order %s: discrepancy %s %s: %s", order_id, discrepancy.kind, discrepancy.kind.outcome, discrepancy.detail
    )


async def reconcile_orders(
    repository: ReconciliationRepository,
    history: ReconciliationHistory,
    clock: Clock,
    policy: ReconciliationPolicy,
    order_ids: Sequence[str],
    report: DiscrepancyReporter,
) -> list[str]:
    """Reconcile some orders, except those that have changed within the quiet period; return those that failed.

    Safe to run concurrently: repairs have deterministic ids, and an alert is raised once. Raises ApiError if a store is
    unavailable, also for one of the orders.
    """
    unchanged_since, failed_ids = clock() - policy.quiet_period, []
    # Documents are derived from rows. Reading the documents first ensures that the rows are never older.
    documents = _HistoryDocuments(*await history.find_by_orders(order_ids))
    for order_id, records in (await repository.load_records(order_ids)).items():
        if records.order is not None and records.order.updated_at > unchanged_since:
            continue
        if find_discrepancies(documents.merge_into(records, order_id)) and not await _reconcile_order(
            repository, history, clock, policy, documents, order_id, report
        ):
            failed_ids.append(order_id)
    return failed_ids


class _HistoryDocuments:
    """History and payment documents of several orders."""

    def __init__(self, history: Sequence[HistoryEntry], payments: Sequence[PaymentRecord]) -> None:
        self._history = history
        self._payments = payments

    def merge_into(self, records: OrderRecords, order_id: str) -> OrderRecords:
        """Return the records with the documents of their order."""
        history = [entry for entry in self._history if entry.order_id == order_id]
        payments = [payment for payment in self._payments if payment.order_id == order_id]
        return replace(records, history=history, payment_documents=payments)


async def _reconcile_order(
    repository: ReconciliationRepository,
    history: ReconciliationHistory,
    clock: Clock,
    policy: ReconciliationPolicy,
    documents: _HistoryDocuments,
    order_id: str,
    report: DiscrepancyReporter,
) -> bool:
    """Repair or report the discrepancies of an order; return False after an error that concerns this order only."""
    try:
        async with repository.unit_of_work() as unit:
            records = await unit.records.load_for_update(order_id)
            discrepancies = find_discrepancies(documents.merge_into(records, order_id))
            await _repair(unit, records.order, discrepancies, order_id, clock(), clock() - policy.window)
        for discrepancy in discrepancies:
            if discrepancy.entry is not None:
                await history.save_history_entry(discrepancy.entry)
            if discrepancy.payment is not None:
                await history.save_payment(discrepancy.payment)
            report(order_id, discrepancy)
    # Any error is confined to its order, so that one order cannot block the others.
    except Exception as error:
        if isinstance(error, ApiError) and error.reason is Reason.UPSTREAM_UNAVAILABLE:
            raise
        log.exception("reconciliation of order %s failed; continuing with the next order", order_id)
        return False
    return True


async def _repair(
    unit: ReconciliationUnitOfWork,
    order: Order | None,
    discrepancies: Sequence[Discrepancy],
    order_id: str,
    now: datetime,
    cutoff: datetime,
) -> None:
    pending_event_ids = await unit.records.list_pending_event_ids(order_id)
    for discrepancy in discrepancies:
        if discrepancy.kind in REPORTED_KINDS:
            await _raise_alert(unit, order_id, discrepancy.kind, f"{discrepancy.detail}.", now)
        elif discrepancy.kind is DiscrepancyKind.PAYMENT_ROW_MISSING and discrepancy.payment is not None:
            await unit.payments.save(discrepancy.payment)
        elif discrepancy.refund is not None:
            await unit.refunds.add(discrepancy.refund)
            if discrepancy.refund.status is RefundStatus.REQUESTED:
                await unit.publish(build_refund_requested(discrepancy.refund))
        elif discrepancy.kind is DiscrepancyKind.REFUND_TOTAL_MISMATCH and order is not None:
            after = apply_refunds(order, await unit.refunds.list_by_order(order_id, order.bank_id), now)
            await unit.orders.update(order, after, "system", "reconciliation")
        elif (
            discrepancy.kind is DiscrepancyKind.HISTORY_MISSING and discrepancy.entry is not None and order is not None
        ):
            await _republish(unit, order, discrepancy.entry, pending_event_ids, cutoff)


async def _republish(
    unit: ReconciliationUnitOfWork,
    order: Order,
    transition: HistoryEntry,
    pending_event_ids: set[str],
    cutoff: datetime,
) -> None:
    """Publish the event of a transition again, unless it is pending or older than consumers deduplicate."""
    event = rebuild_event(order, transition)
    if transition.at > cutoff and derive_event_id(event) not in pending_event_ids:
        await unit.publish(event)


async def _raise_alert(unit: ReconciliationUnitOfWork, order_id: str, reason: str, detail: str, now: datetime) -> bool:
    """Raise an alert about an order; return False if it was raised before."""
    alert = build_order_alert(order_id, reason, detail, now)
    if not await unit.register_alert(alert.subject, alert.reason, now):
        return False
    await unit.publish(alert)
    return True


async def alert_stuck_orders(repository: ReconciliationRepository, clock: Clock, policy: ReconciliationPolicy) -> int:
    """Raise an alert for a batch of stuck orders, once per order; return the number of alerts.

    `orders.paid` of an order whose partner was not notified is published again, in case it was lost. A concurrent call
    may have raised the alert of an order after this one has selected it.
    """
    now, alert_count = clock(), 0
    async with repository.unit_of_work() as unit:
        unnotified = await unit.records.list_unnotified_for_update(
            now - policy.partner_notification_timeout, PARTNER_NOT_NOTIFIED, BATCH_SIZE
        )
        for order in unnotified:
            detail = f"The order is paid, but partner {order.partner.id} has not acknowledged it."
            if not await _raise_alert(unit, order.id, PARTNER_NOT_NOTIFIED, detail, now):
                continue
            alert_count += 1
            pending_event_ids = await unit.records.list_pending_event_ids(order.id)
            for transition in select_status_changes((await unit.records.load_for_update(order.id)).transitions):
                if transition.status is OrderStatus.PAID:
                    await _republish(unit, order, transition, pending_event_ids, now - policy.window)
        unassigned = await unit.records.list_unassigned_for_update(
            now - policy.pickup_timeout, ORDER_NOT_PICKED_UP, BATCH_SIZE
        )
        for order in unassigned:
            detail = "The order is ready, but no deliverer has accepted it."
            alert_count += await _raise_alert(unit, order.id, ORDER_NOT_PICKED_UP, detail, now)
    return alert_count


async def warn_about_outbox_backlog(
    repository: ReconciliationRepository, clock: Clock, policy: ReconciliationPolicy
) -> int:
    """Log an error if events wait in the outbox too long; an alert would wait in the same outbox. Return 0."""
    if overdue := await repository.count_overdue_events(clock() - policy.quiet_period):
        log.error("outbox backlog: %d events have been pending for more than %s", overdue, policy.quiet_period)
    return 0


async def drain(work: Callable[[], Awaitable[int]]) -> int:
    """Repeat the work until it returns 0; return the sum of its results."""
    total = 0
    while count := await work():
        total += count
    return total
