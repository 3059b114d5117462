"""Reconciliation on real servers: every kind of discrepancy is detected, and repaired or reported once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from generated.events import EVENTS, OrdersEvent
from generated.problems import Reason
from generated.proto.delivery.events.v1 import PartnerNotified, SystemAlert
from services.orders import usecases
from services.orders.adapters.history_repository import MongoHistoryRepository
from services.orders.adapters.postgres.reconciliation import PostgresReconciliationRepository
from services.orders.domain.payments import Payment
from services.orders.domain.reconciliation import REPORTED_KINDS, Discrepancy, DiscrepancyKind
from services.orders.entrypoints.consumers import PartnersConsumer
from services.orders.usecases.reconciliation import ReconciliationPolicy, drain
from services.orders.usecases.reconciliation_run import ReconciliationRun
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.messaging.events import MessageMetadata
from services.runtime.messaging.outbox import Outbox
from services.runtime.rpc.codec import get_codec
from services.runtime.storage import mongo
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from tests.integration.fixtures.orders import ADA, Orders
from tests.integration.test_orders_payments import FakePaymentSystem, list_event_types, send_all_refunds

IMMEDIATE = ReconciliationPolicy(timedelta(0), timedelta(0), timedelta(days=7), timedelta(0), timedelta(0))
LATE_ALERTS = replace(IMMEDIATE, partner_notification_timeout=timedelta(hours=1), pickup_timeout=timedelta(hours=1))


class Reconciler:
    """Runs reconciliation and reads its effects on single orders."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.repository = PostgresReconciliationRepository(orders.database, Outbox[OrdersEvent](EVENTS))

    async def reconcile(self, order_id: str, policy: ReconciliationPolicy = IMMEDIATE) -> list[DiscrepancyKind]:
        """Reconcile all due orders; return the discrepancies of this one."""
        kinds: list[DiscrepancyKind] = []

        def report(reported_order_id: str, discrepancy: Discrepancy) -> None:
            if reported_order_id == order_id:
                kinds.append(discrepancy.kind)

        reconciled_before = now() - policy.recheck_interval
        run = ReconciliationRun(self.repository, self.orders.history, now, policy, report)
        while await run.reconcile_next_batch(reconciled_before):
            pass
        assert not run.failed_ids
        return kinds

    async def list_alert_reasons(self, order_id: str) -> list[str]:
        """Return the reasons of the order's alerts in the outbox."""
        rows = await self.orders.execute_sql(
            "SELECT payload FROM outbox WHERE type = 'system.alert' AND subject = %(id)s ORDER BY id",
            id=f"order:{order_id}",
        )
        return [get_codec().decode(SystemAlert, bytes(row["payload"])).reason for row in rows]

    async def list_event_ids(self, order_id: str, event_type: str) -> list[str]:
        """Return the ids of the order's events of a type in the outbox."""
        rows = await self.orders.execute_sql(
            "SELECT event_id FROM outbox WHERE type = %(type)s AND subject = %(id)s", type=event_type, id=order_id
        )
        return [row["event_id"] for row in rows]


@pytest.fixture
async def reconciler(orders: Orders) -> Reconciler:
    """Reconciler to which the orders of other tests are not due."""
    await orders.execute_sql("UPDATE orders SET reconciled_at = '9999-01-01'")
    await orders.execute_sql("UPDATE payments SET reconciled_at = '9999-01-01'")
    await orders.execute_sql("UPDATE orders SET partner_notified_at = now() WHERE status = 'paid'")
    await orders.execute_sql("UPDATE orders SET ready_at = now() + interval '1 day' WHERE status = 'ready'")
    return Reconciler(orders)


async def create_refunded_order(orders: Orders, reconciler: Reconciler) -> str:
    """Create an overpaid, cancelled and refunded order, with all its documents."""
    order_id = await orders.place_order()
    await orders.pay(order_id, 250)
    await usecases.cancel_order(orders.repository, now, ADA, order_id, "no appetite")
    await send_all_refunds(orders, FakePaymentSystem())
    await reconciler.reconcile(order_id)
    assert await reconciler.reconcile(order_id) == []
    await orders.execute_sql("DELETE FROM outbox")
    return order_id


type Corrupt = Callable[[Orders, str], Awaitable[Any]]
"""Function that corrupts the records of an order."""


def corrupt_documents(collection_name: str, method: str, *arguments: dict[str, Any]) -> Corrupt:
    async def corrupt(orders: Orders, order_id: str) -> None:
        collection = orders.client.get_default_database("orders")[collection_name]
        query = {"order_id": order_id} | ({"version": 2} if collection_name == "history" else {})
        await getattr(collection, method)(query, *arguments)

    return corrupt


def corrupt_tables(statement: str) -> Corrupt:
    return lambda orders, order_id: orders.execute_sql(statement, id=order_id)


REPAIRABLE = {
    "history entry deleted": (DiscrepancyKind.HISTORY_MISSING, corrupt_documents("history", "delete_one")),
    "history entry changed": (
        DiscrepancyKind.HISTORY_MISMATCH,
        corrupt_documents("history", "update_one", {"$set": {"actor": "eve"}}),
    ),
    "history entry invalid": (
        DiscrepancyKind.HISTORY_MISSING,
        corrupt_documents("history", "update_one", {"$set": {"status": "?"}}),
    ),
    "payment document deleted": (
        DiscrepancyKind.PAYMENT_DOCUMENT_MISSING,
        corrupt_documents("payments", "delete_one"),
    ),
    "payment document changed": (
        DiscrepancyKind.PAYMENT_DOCUMENT_MISMATCH,
        corrupt_documents("payments", "update_one", {"$set": {"amount": 1}}),
    ),
    "payment row deleted": (
        DiscrepancyKind.PAYMENT_ROW_MISSING,
        corrupt_tables("DELETE FROM payments WHERE order_id = %(id)s"),
    ),
    "refund of excess deleted": (
        DiscrepancyKind.REFUND_MISSING,
        corrupt_tables("DELETE FROM refunds WHERE order_id = %(id)s AND amount = 50"),
    ),
    "refund of cancellation deleted": (
        DiscrepancyKind.REFUND_MISSING,
        corrupt_tables("DELETE FROM refunds WHERE order_id = %(id)s AND amount = 200"),
    ),
    "refund totals changed": (
        DiscrepancyKind.REFUND_TOTAL_MISMATCH,
        corrupt_tables("UPDATE orders SET refunded_amount = 7, refund_status = 'failed' WHERE id = %(id)s"),
    ),
}


@pytest.mark.parametrize(("kind", "corrupt"), REPAIRABLE.values(), ids=REPAIRABLE)
async def test_repairable_discrepancy_is_repaired(
    orders: Orders, reconciler: Reconciler, kind: DiscrepancyKind, corrupt: Corrupt
) -> None:
    order_id = await create_refunded_order(orders, reconciler)
    before = await orders.get_order(order_id)
    await corrupt(orders, order_id)
    assert await reconciler.reconcile(order_id) == [kind]
    assert await reconciler.reconcile(order_id) == []
    payment_system = FakePaymentSystem()
    await send_all_refunds(orders, payment_system)
    assert payment_system.refunded_amounts == {}, "a completed refund is requested again"
    assert await reconciler.list_alert_reasons(order_id) == []
    after = await orders.get_order(order_id)
    assert replace(after, version=before.version, updated_at=before.updated_at) == before
    assert after.version - before.version == (kind is DiscrepancyKind.REFUND_TOTAL_MISMATCH)
    history = await usecases.get_history(orders.repository, orders.history, ADA, order_id, 10, "")
    assert [(entry.version, str(entry.status)) for entry in history.items] == [
        (1, "pending"),
        (2, "paid"),
        (3, "cancelled"),
    ]


async def delete_payment_everywhere(orders: Orders, order_id: str) -> None:
    await orders.execute_sql("DELETE FROM payments WHERE order_id = %(id)s", id=order_id)
    await corrupt_documents("payments", "delete_many")(orders, order_id)


def add_changed_copy(collection_name: str, **changes: Any) -> Corrupt:
    async def corrupt(orders: Orders, order_id: str) -> None:
        collection = orders.client.get_default_database("orders")[collection_name]
        document = await collection.find_one({"order_id": order_id})
        assert document is not None
        await collection.insert_one(document | changes | {"_id": generate_id()})

    return corrupt


UNREPAIRABLE = {
    "history entry without transition": (
        DiscrepancyKind.HISTORY_UNEXPECTED,
        add_changed_copy("history", version=99),
    ),
    "transition deleted": (
        DiscrepancyKind.TRANSITIONS_INCOMPLETE,
        corrupt_tables("DELETE FROM order_transitions WHERE order_id = %(id)s AND version = 3"),
    ),
    "document without payment": (
        DiscrepancyKind.PAYMENT_UNEXPECTED,
        add_changed_copy("payments", payment_id="unknown"),
    ),
    "paid amount too high": (
        DiscrepancyKind.PAID_AMOUNT_MISMATCH,
        corrupt_tables("UPDATE orders SET paid_amount = paid_amount + 1 WHERE id = %(id)s"),
    ),
    "payment deleted everywhere": (DiscrepancyKind.PAYMENT_MISSING, delete_payment_everywhere),
    "refund not owed": (
        DiscrepancyKind.REFUND_UNEXPECTED,
        corrupt_tables(
            "INSERT INTO refunds (id, bank_id, payment_id, order_id, amount, currency, status, created_at, next_at)"
            " SELECT %(id)s, bank_id, payment_id, order_id, 99, currency, 'refunded', now(), now()"
            " FROM refunds WHERE order_id = %(id)s LIMIT 1"
        ),
    ),
}


@pytest.mark.parametrize(("kind", "corrupt"), UNREPAIRABLE.values(), ids=UNREPAIRABLE)
async def test_unrepairable_discrepancy_alerts_once(
    orders: Orders, reconciler: Reconciler, kind: DiscrepancyKind, corrupt: Corrupt
) -> None:
    order_id = await create_refunded_order(orders, reconciler)
    await corrupt(orders, order_id)
    assert kind in await reconciler.reconcile(order_id)
    kinds = await reconciler.reconcile(order_id)
    assert kind in kinds
    assert set(kinds) <= REPORTED_KINDS
    assert (await reconciler.list_alert_reasons(order_id)).count(kind) == 1


async def test_missing_event_is_republished_with_its_original_id(orders: Orders, reconciler: Reconciler) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    [event_id] = await reconciler.list_event_ids(order_id, "orders.paid")
    await reconciler.reconcile(order_id)
    assert await reconciler.list_event_ids(order_id, "orders.paid") == [event_id], "a pending event is not duplicated"
    await orders.execute_sql("DELETE FROM outbox WHERE subject = %(id)s", id=order_id)
    await corrupt_documents("history", "delete_one")(orders, order_id)
    assert await reconciler.reconcile(order_id) == [DiscrepancyKind.HISTORY_MISSING]
    assert await reconciler.list_event_ids(order_id, "orders.paid") == [event_id]
    assert await reconciler.list_event_ids(order_id, "orders.created") == [], "its history entry exists"


async def test_old_order_is_repaired_without_republishing(orders: Orders, reconciler: Reconciler) -> None:
    order_id = await create_refunded_order(orders, reconciler)
    await corrupt_documents("history", "delete_one")(orders, order_id)
    without_window = replace(IMMEDIATE, window=timedelta(0))
    assert await reconciler.reconcile(order_id, without_window) == [DiscrepancyKind.HISTORY_MISSING]
    assert await list_event_types(orders, order_id) == []
    rows = await orders.execute_sql(
        "SELECT extract(year FROM reconciled_at) AS year FROM orders WHERE id = %(id)s", id=order_id
    )
    assert rows == [{"year": 9999}], "the order is never due again"


async def test_recently_changed_order_is_skipped(orders: Orders, reconciler: Reconciler) -> None:
    order_id = await orders.place_order()
    policy = replace(IMMEDIATE, quiet_period=timedelta(minutes=10))
    assert await reconciler.reconcile(order_id, policy) == []
    await orders.execute_sql(
        "UPDATE orders SET updated_at = updated_at - interval '11 minutes' WHERE id = %(id)s", id=order_id
    )
    assert DiscrepancyKind.HISTORY_MISMATCH not in await reconciler.reconcile(order_id, policy)
    reconciled = await orders.execute_sql("SELECT reconciled_at FROM orders WHERE id = %(id)s", id=order_id)
    assert reconciled[0]["reconciled_at"] is not None
    await orders.pay(order_id)
    changed = await orders.execute_sql("SELECT reconciled_at FROM orders WHERE id = %(id)s", id=order_id)
    assert changed[0]["reconciled_at"] is None, "a changed order is due again"


async def test_concurrent_reconciliation_repairs_and_reports_once(orders: Orders, reconciler: Reconciler) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await orders.execute_sql("DELETE FROM outbox WHERE subject = %(id)s", id=order_id)
    await orders.execute_sql("UPDATE orders SET paid_amount = paid_amount + 1 WHERE id = %(id)s", id=order_id)
    repository = reconciler.repository

    async def reconcile() -> int:
        return await usecases.reconcile(repository, orders.history, now, LATE_ALERTS)

    counts = await asyncio.gather(*(reconcile() for _ in range(5)))
    assert sum(count > 0 for count in counts) >= 1
    assert len(await reconciler.list_event_ids(order_id, "orders.paid")) == 1
    assert await reconciler.list_alert_reasons(order_id) == [DiscrepancyKind.PAID_AMOUNT_MISMATCH]
    async with repository.try_acquire_leadership() as first, repository.try_acquire_leadership() as second:
        assert (first, second) == (True, False)
        assert await reconcile() == 0


async def test_document_store_outage_is_not_a_discrepancy(orders: Orders, reconciler: Reconciler) -> None:
    order_id = await orders.place_order()
    client, unavailable = mongo.connect("mongodb://127.0.0.1:1/orders?serverSelectionTimeoutMS=100")
    async with client:
        with pytest.raises(ApiError) as raised:
            await usecases.reconcile(reconciler.repository, MongoHistoryRepository(unavailable), now, IMMEDIATE)
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
    rows = await orders.execute_sql("SELECT reconciled_at FROM orders WHERE id = %(id)s", id=order_id)
    assert rows == [{"reconciled_at": None}]


async def test_orders_lost_by_restored_database_are_reported(orders: Orders, reconciler: Reconciler) -> None:
    order_id = await create_refunded_order(orders, reconciler)
    for statement in (
        "DELETE FROM refunds WHERE order_id = %(id)s",
        "DELETE FROM payments WHERE order_id = %(id)s",
        "DELETE FROM order_transitions WHERE order_id = %(id)s",
        "DELETE FROM orders WHERE id = %(id)s",
    ):
        await orders.execute_sql(statement, id=order_id)
    assert await reconciler.reconcile(order_id) == []
    for _ in range(2):
        await usecases.reconcile_documents(reconciler.repository, orders.history, now, IMMEDIATE)
    assert sorted(await reconciler.list_alert_reasons(order_id)) == ["ORDER_MISSING", "PAYMENT_UNEXPECTED"]


async def test_documents_of_intact_orders_are_not_reported(orders: Orders, reconciler: Reconciler) -> None:
    order_id = await create_refunded_order(orders, reconciler)
    await usecases.reconcile_documents(reconciler.repository, orders.history, now, IMMEDIATE)
    assert await reconciler.list_alert_reasons(order_id) == []


async def test_payment_for_unknown_order_is_reconciled(orders: Orders, reconciler: Reconciler) -> None:
    order_id = generate_id()
    with pytest.raises(ApiError):
        await orders.pay(order_id)
    await orders.execute_sql("DELETE FROM refunds WHERE order_id = %(id)s", id=order_id)
    assert sorted(await reconciler.reconcile(order_id)) == [
        DiscrepancyKind.PAYMENT_DOCUMENT_MISSING,
        DiscrepancyKind.REFUND_MISSING,
    ]
    assert await reconciler.reconcile(order_id) == []
    payment_system = FakePaymentSystem()
    await send_all_refunds(orders, payment_system)
    assert list(payment_system.refunded_amounts.values()) == [200]


async def test_payments_that_only_a_bank_has_recorded_are_unknown(orders: Orders, reconciler: Reconciler) -> None:
    order_id = await orders.place_order()
    failed_id = await orders.pay(order_id, status="failed")
    recorded = Payment("visa", await orders.pay(order_id), order_id, 200, "USD", succeeded=True)
    unknown = [
        replace(recorded, payment_id=generate_id()),
        replace(recorded, bank_id="km"),
        replace(recorded, payment_id=failed_id),
    ]
    payments = [unknown[0], recorded, *unknown[1:]]
    assert await reconciler.repository.find_unknown_payments(payments) == unknown
    assert await reconciler.repository.find_unknown_payments([recorded]) == []
    assert await reconciler.repository.find_unknown_payments([]) == []


async def test_paid_order_without_partner_ack_alerts_once_and_republishes(
    orders: Orders, reconciler: Reconciler
) -> None:
    repository = reconciler.repository
    notified_id, unnotified_id = await orders.place_order(), await orders.place_order()
    for order_id in (notified_id, unnotified_id):
        await orders.pay(order_id)
    await usecases.record_partner_notified(orders.repository, notified_id, 1, now())
    assert await usecases.alert_stuck_orders(repository, now, LATE_ALERTS) == 0
    [event_id] = await reconciler.list_event_ids(unnotified_id, "orders.paid")
    await orders.execute_sql("DELETE FROM outbox WHERE subject = %(id)s", id=unnotified_id)
    counts = await asyncio.gather(*(usecases.alert_stuck_orders(repository, now, IMMEDIATE) for _ in range(4)))
    assert sum(counts) == 1
    assert await reconciler.list_alert_reasons(unnotified_id) == ["PARTNER_NOT_NOTIFIED"]
    assert await reconciler.list_alert_reasons(notified_id) == []
    assert await reconciler.list_event_ids(unnotified_id, "orders.paid") == [event_id]
    assert await usecases.alert_stuck_orders(repository, now, IMMEDIATE) == 0


async def test_ready_order_without_deliverer_alerts_once(orders: Orders, reconciler: Reconciler) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await usecases.mark_order_ready(
        orders.repository, now, "orders.readiness", generate_id(), order_id, 1, "1 Market Square"
    )
    assert await usecases.alert_stuck_orders(reconciler.repository, now, LATE_ALERTS) == 0
    for expected in (1, 0):
        assert await usecases.alert_stuck_orders(reconciler.repository, now, IMMEDIATE) == expected
    assert await reconciler.list_alert_reasons(order_id) == ["ORDER_NOT_PICKED_UP"]


async def test_partner_acknowledgement_is_idempotent_and_commutative(orders: Orders) -> None:
    order_id = await orders.place_order()
    first_at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    consumer = PartnersConsumer(orders.repository, now)

    async def acknowledge(partner_id: int, at: datetime, event_order_id: str = order_id) -> datetime | None:
        event = PartnerNotified(order_id=event_order_id, partner_id=partner_id, at=at)
        await consumer.on_partner_notified(
            event, MessageMetadata(consumer.QUEUE, generate_id(), "partners.notified", event_order_id, at, 1)
        )
        rows = await orders.execute_sql(
            "SELECT partner_notified_at, version FROM orders WHERE id = %(id)s", id=order_id
        )
        assert rows[0]["version"] == 1
        return rows[0]["partner_notified_at"]  # type: ignore[no-any-return]

    assert await acknowledge(2, first_at) is None, "an event of another partner has no effect"
    assert await acknowledge(1, first_at, event_order_id="unknown") is None
    assert await acknowledge(1, first_at + timedelta(hours=1)) == first_at + timedelta(hours=1)
    assert await acknowledge(1, first_at) == first_at
    assert await acknowledge(1, first_at + timedelta(hours=2)) == first_at
    await usecases.cancel_order(orders.repository, now, ADA, order_id, None)
    await consumer.on_partner_notified(
        PartnerNotified(order_id=order_id, partner_id=1, at=first_at),
        MessageMetadata(consumer.QUEUE, generate_id(), "partners.notified", order_id, first_at, 2),
    )
    assert (await orders.get_order(order_id)).version == 2


async def test_concurrent_acknowledgements_of_partners_are_stored_together(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_ids = [await orders.place_order() for _ in range(3)]
    first_at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    statements: list[bytes] = []
    execute = Database.execute

    async def record(self: Database, statement: Statement, **values: Any) -> int:
        statements.append(statement.sql)
        return await execute(self, statement, **values)

    monkeypatch.setattr(Database, "execute", record)
    await asyncio.gather(
        *(
            usecases.record_partner_notified(orders.repository, order_id, partner_id, first_at + timedelta(hours=hour))
            for order_id in order_ids
            for partner_id, hour in ((1, 2), (1, 1), (1, 3), (2, 0))
        )
    )
    assert len(statements) == 1
    rows = await orders.execute_sql(
        "SELECT DISTINCT partner_notified_at FROM orders WHERE id = ANY (%(ids)s)", ids=order_ids
    )
    assert rows == [{"partner_notified_at": first_at + timedelta(hours=1)}]


async def test_repeated_callback_with_deleted_webhook_id_returns_payment_result(
    orders: Orders, reconciler: Reconciler
) -> None:
    order_id, webhook_id = await orders.place_order(), generate_id()
    payment_id = await orders.pay(order_id, webhook_id=webhook_id)
    await orders.execute_sql(
        "UPDATE callbacks SET at = at - interval '31 days' WHERE webhook_id = %(id)s", id=webhook_id
    )
    assert await drain(lambda: reconciler.repository.delete_old_callbacks(now() - timedelta(days=30))) >= 1
    assert await orders.pay(order_id, webhook_id=webhook_id, payment_id=payment_id) == payment_id
    assert (await orders.get_order(order_id)).paid_amount == 200
