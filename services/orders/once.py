"""`reconcile`: what the service does by itself from time to time, done once, now, for who asks."""

from generated.events import EVENTS, OrdersEvent
from services.orders import usecases
from services.orders.app import Settings
from services.orders.documents import OrdersDocuments
from services.orders.reconcile_store import ReconcileStore
from services.orders.reconciliation import Found
from services.orders.usecases.reconcile import compare_some, exhaust
from services.runtime import documents
from services.runtime.clock import now
from services.runtime.database import Database
from services.runtime.outbox import Outbox


async def reconcile(settings: Settings) -> None:
    """Compares every order that has rested, and prints what disagreed. May run beside the service."""
    client, collections = documents.connect(settings.documents_url.get_secret_value())
    began, terms, disagreed = now(), settings.terms, 0

    def say(order_id: str, found: Found) -> None:
        nonlocal disagreed
        disagreed += 1
        print(f"{order_id}  {found.kind}  {found.kind.outcome}  {found.detail}")

    async with Database(settings.database_url.get_secret_value()) as database, client:
        store, written = ReconcileStore(database, Outbox[OrdersEvent](EVENTS)), OrdersDocuments(collections)
        compared = await exhaust(lambda: compare_some(store, written, now, terms, began, say))
        stuck = await exhaust(lambda: usecases.alert_stuck(store, now, terms))
        waiting = await store.waiting(began - terms.quiet)
    print(f"{compared} orders compared, {disagreed} disagreements, {stuck} stuck; {waiting} events wait too long")
