"""Runs of reconciliation over all due orders, and over the orders that occur in the document store."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from services.orders.usecases.reconciliation import (
    BATCH_SIZE,
    DiscrepancyReporter,
    ReconciliationHistory,
    ReconciliationPolicy,
    ReconciliationRepository,
    log_discrepancy,
    reconcile_orders,
)
from services.runtime.core.clock import Clock

log = logging.getLogger(__name__)

MAX_CONSECUTIVE_ERRORS = 3
"""Single orders that fail one after the other before the run checks that the stores are available."""

_ABSENT_ORDER_ID = "absent"
"""Id of no order, for which a store that is available returns nothing."""

DOCUMENTS_PER_PAGE = 1000
"""Documents that are read at a time in order to find their orders."""


class ReconciliationRun:
    """One run over many orders.

    After an error the batches become smaller, down to single orders, so that neither a slow store nor a failing order
    stops the others. An order that fails is not attempted again in the same run. After several orders failed one after
    the other, a read that concerns none of them decides whether a store is unavailable, which ends the run.
    """

    def __init__(
        self,
        repository: ReconciliationRepository,
        history: ReconciliationHistory,
        clock: Clock,
        policy: ReconciliationPolicy,
        report: DiscrepancyReporter,
    ) -> None:
        self._repository = repository
        self._history = history
        self._clock = clock
        self._policy = policy
        self._report = report
        self._batch_size = BATCH_SIZE
        self._consecutive_errors = 0
        self._last_error: Exception | None = None
        self.failed_ids: set[str] = set()
        self.reconciled_count = 0

    async def reconcile_next_batch(self, reconciled_before: datetime) -> bool:
        """Reconcile a batch of orders not reconciled since their last change or `reconciled_before`.

        Return False if no order is due. Raises ApiError if a store is unavailable.
        """
        started_at = self._clock()
        order_ids = await self._repository.list_due_order_ids(
            started_at - self._policy.quiet_period, reconciled_before, self._batch_size, self.failed_ids
        )
        batch = order_ids[: self._batch_size]
        if batch and await self._attempt(batch):
            succeeded_ids = [order_id for order_id in batch if order_id not in self.failed_ids]
            await self._repository.mark_reconciled(succeeded_ids, started_at, started_at - self._policy.window)
        return bool(batch)

    async def reconcile_ids(self, order_ids: Sequence[str]) -> None:
        """Reconcile some orders, whether they are due or not. Raises ApiError if a store is unavailable."""
        pending = [order_id for order_id in order_ids if order_id not in self.failed_ids]
        while pending:
            batch = pending[: self._batch_size]
            if await self._attempt(batch):
                pending = pending[len(batch) :]

    def raise_if_nothing_succeeded(self) -> None:
        """Raise the last error if every order of the run has failed."""
        if self._last_error is not None and not self.reconciled_count:
            raise self._last_error

    async def _attempt(self, batch: Sequence[str]) -> bool:
        """Reconcile a batch; return False if it has to be repeated in smaller batches."""
        try:
            failed_ids = await reconcile_orders(
                self._repository, self._history, self._clock, self._policy, batch, self._report
            )
        # Boundary of one batch: any of its orders may cause any error.
        except Exception as error:
            self._last_error = error
            if len(batch) > 1:
                self._batch_size = max(1, len(batch) // 4)
                log.warning(
                    "reconciliation of %d orders failed: %s; continuing in batches of %d",
                    len(batch),
                    error,
                    self._batch_size,
                )
                return False
            log.exception("reconciliation of order %s failed; continuing with the next order", batch[0])
            self.failed_ids.add(batch[0])
            self._consecutive_errors += 1
            if self._consecutive_errors == MAX_CONSECUTIVE_ERRORS:
                await self._check_stores()
                self._consecutive_errors = 0
            return True
        self._consecutive_errors = 0
        self._batch_size = min(BATCH_SIZE, self._batch_size * 2)
        self.failed_ids |= set(failed_ids)
        self.reconciled_count += len(batch) - len(failed_ids)
        return True

    async def _check_stores(self) -> None:
        """Read from both stores without reading an order. Raises ApiError if one is unavailable."""
        await self._history.find_by_orders([_ABSENT_ORDER_ID])
        await self._repository.load_records([_ABSENT_ORDER_ID])


async def reconcile(
    repository: ReconciliationRepository,
    history: ReconciliationHistory,
    clock: Clock,
    policy: ReconciliationPolicy,
    report: DiscrepancyReporter = log_discrepancy,
    record_success: Callable[[datetime], None] = lambda _: None,
) -> int:
    """Reconcile all due orders and return their number; 0 while another process holds the leadership.

    `record_success` is called with the time of a run in which no order failed.
    """
    run = ReconciliationRun(repository, history, clock, policy, report)
    started_at = clock()
    has_more = True
    while has_more:
        async with repository.try_acquire_leadership() as is_leader:
            if not is_leader:
                return run.reconciled_count
            has_more = await run.reconcile_next_batch(started_at - policy.recheck_interval)
    run.raise_if_nothing_succeeded()
    if not run.failed_ids:
        record_success(clock())
    return run.reconciled_count


async def reconcile_documents(
    repository: ReconciliationRepository,
    history: ReconciliationHistory,
    clock: Clock,
    policy: ReconciliationPolicy,
    report: DiscrepancyReporter = log_discrepancy,
) -> int:
    """Reconcile the orders whose creation or payment is in the document store, also those that have no rows.

    A database that was restored from a backup has lost the latest orders, which are then found in no other way.
    Documents older than the window of reconciliation are not read. Return 0.
    """
    run = ReconciliationRun(repository, history, clock, policy, report)
    now = clock()
    async for order_ids in history.iter_order_ids(now - policy.window, now - policy.quiet_period, DOCUMENTS_PER_PAGE):
        await run.reconcile_ids(order_ids)
    run.raise_if_nothing_succeeded()
    return 0
