"""`reconcile`: what the service does by itself from time to time, done once, now, for who asks."""

from generated.events import EVENTS, OrdersEvent
from services.orders import usecases
from services.orders.adapters.history_repository import MongoHistoryRepository
from services.orders.adapters.postgres.reconciliation import PostgresReconciliationRepository
from services.orders.app import Settings
from services.orders.domain.reconciliation import Discrepancy
from services.orders.usecases.reconcile import drain, reconcile_batch
from services.runtime.core.clock import now
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import mongo
from services.runtime.storage.database import Database


async def run_reconcile(settings: Settings) -> None:
    """Compares every order that has rested, and prints what disagreed. May run beside the service."""
    client, collections = mongo.connect(settings.documents_url.get_secret_value())
    began, terms, disagreed = now(), settings.reconciliation_policy, 0

    def say(order_id: str, found: Discrepancy) -> None:
        nonlocal disagreed
        disagreed += 1
        print(f"{order_id}  {found.kind}  {found.kind.outcome}  {found.detail}")

    async with Database(settings.database_url.get_secret_value()) as database, client:
        store, written = (
            PostgresReconciliationRepository(database, Outbox[OrdersEvent](EVENTS)),
            MongoHistoryRepository(collections),
        )
        compared = await drain(lambda: reconcile_batch(store, written, now, terms, began, say))
        stuck = await drain(lambda: usecases.alert_stuck_orders(store, now, terms))
        waiting = await store.count_overdue_events(began - terms.quiet_period)
    print(f"{compared} orders compared, {disagreed} disagreements, {stuck} stuck; {waiting} events wait too long")
