"""`reconcile` command: one run of the periodic reconciliation."""

from services.orders import usecases
from services.orders.domain.reconciliation import Discrepancy
from services.orders.usecases.ports import HistoryRepository
from services.orders.usecases.reconciliation import (
    ReconciliationPolicy,
    ReconciliationRepository,
    drain,
    reconcile_batch,
)
from services.runtime.core.clock import Clock


async def run_reconcile(
    repository: ReconciliationRepository, history: HistoryRepository, clock: Clock, policy: ReconciliationPolicy
) -> None:
    """Reconcile every order past its quiet period and print the discrepancies. Safe while the service runs."""
    started_at, discrepancy_count = clock(), 0

    def print_discrepancy(order_id: str, discrepancy: Discrepancy) -> None:
        nonlocal discrepancy_count
        discrepancy_count += 1
        print(f"{order_id}  {discrepancy.kind}  {discrepancy.kind.outcome}  {discrepancy.detail}")

    reconciled = await drain(lambda: reconcile_batch(repository, history, clock, policy, started_at, print_discrepancy))
    stuck = await drain(lambda: usecases.alert_stuck_orders(repository, clock, policy))
    overdue = await repository.count_overdue_events(started_at - policy.quiet_period)
    print(f"{reconciled} orders reconciled, {discrepancy_count} discrepancies, {stuck} stuck; {overdue} overdue events")
