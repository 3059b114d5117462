"""`reconcile` command: one run of the periodic reconciliation."""

import logging

from services.orders import usecases
from services.orders.domain.payments import Payment
from services.orders.domain.reconciliation import Discrepancy
from services.orders.usecases.bank_reconciliation import BankPaymentLister
from services.orders.usecases.reconciliation import (
    ReconciliationHistory,
    ReconciliationPolicy,
    ReconciliationRepository,
    drain,
)
from services.orders.usecases.reconciliation_run import DOCUMENTS_PER_PAGE, ReconciliationRun
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.money import format_amount

log = logging.getLogger(__name__)


async def run_reconcile(
    repository: ReconciliationRepository,
    history: ReconciliationHistory,
    banks: BankPaymentLister,
    clock: Clock,
    policy: ReconciliationPolicy,
) -> bool:
    """Reconcile the orders of the window past their quiet period, and the payments of the banks; print discrepancies.

    Safe while the service runs. Return False if a store was unavailable, or the reconciliation of an order failed. An
    unexpected error is also logged. A bank that is unavailable is printed only.
    """
    started_at, reported = clock(), set[tuple[str, str]]()
    lost_payments: list[Payment] = []

    def print_discrepancy(order_id: str, discrepancy: Discrepancy) -> None:
        if (order_id, discrepancy.detail) not in reported:
            reported.add((order_id, discrepancy.detail))
            print(f"{order_id}  {discrepancy.kind}  {discrepancy.kind.outcome}  {discrepancy.detail}")

    def print_lost_payment(payment: Payment) -> None:
        lost_payments.append(payment)
        amount = format_amount(payment.amount, payment.currency)
        print(
            f"{payment.order_id}  PAYMENT_NOT_RECORDED  reported  "
            f"payment {payment.payment_id} of bank {payment.bank_id}: {amount}"
        )

    def print_failed_bank(bank_id: str, error: Exception) -> None:
        print(f"payments of bank {bank_id} not compared: {str(error) or type(error).__name__}")

    run = ReconciliationRun(repository, history, clock, policy, print_discrepancy)
    unchanged_since = started_at - policy.quiet_period
    try:
        while await run.reconcile_next_batch(started_at):
            pass
        due_count = run.reconciled_count
        async for order_ids in history.iter_order_ids(started_at - policy.window, unchanged_since, DOCUMENTS_PER_PAGE):
            await run.reconcile_ids(order_ids)
        await usecases.reconcile_banks(repository, banks, clock, policy, print_lost_payment, print_failed_bank)
        stuck = await drain(lambda: usecases.alert_stuck_orders(repository, clock, policy))
        overdue = await repository.count_overdue_events(unchanged_since)
        skipped = await repository.count_recent_orders(unchanged_since)
    # Boundary of the command: any error is one line of its output.
    except Exception as error:
        if not isinstance(error, ApiError):
            log.exception("reconciliation failed")
        cause = error if isinstance(error, ApiError) else f"{type(error).__name__}: {error}"
        print(f"incomplete: {cause}; {run.reconciled_count} orders reconciled, {len(reported)} discrepancies")
        return False
    print(f"{due_count} orders reconciled, {len(reported)} discrepancies, {stuck} stuck; {overdue} overdue events")
    if lost_payments:
        print(f"{len(lost_payments)} payments of banks are not recorded")
    if skipped:
        print(f"{skipped} orders skipped: changed within the last {policy.quiet_period.total_seconds():g} s")
    if run.failed_ids:
        print(f"{len(run.failed_ids)} orders failed: {' '.join(sorted(run.failed_ids))}")
    return not run.failed_ids
