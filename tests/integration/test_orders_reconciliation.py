"""Reconciliation on real servers: every kind of disagreement is planted, found, repaired or reported, and once."""

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
from services.orders.domain.reconciliation import REPORTED_KINDS, Discrepancy, DiscrepancyKind
from services.orders.entrypoints.consumers import PartnersConsumer
from services.orders.usecases.reconcile import ReconciliationPolicy, drain, reconcile_batch
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import new_id
from services.runtime.messaging.events import MessageMetadata
from services.runtime.messaging.outbox import Outbox
from services.runtime.rpc.codec import get_codec
from services.runtime.storage import mongo
from tests.integration.fixtures.orders import ADA, Orders
from tests.integration.test_orders_payments import Ledger, events, send

AT_ONCE = ReconciliationPolicy(timedelta(0), timedelta(0), timedelta(days=7), timedelta(0), timedelta(0))
LATER = replace(AT_ONCE, partner_notification_timeout=timedelta(hours=1), pickup_timeout=timedelta(hours=1))


class Accountant:
    """Reconciles, and keeps what was said of each order."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.store = PostgresReconciliationRepository(orders.database, Outbox[OrdersEvent](EVENTS))

    async def look(self, order_id: str, terms: ReconciliationPolicy = AT_ONCE) -> list[DiscrepancyKind]:
        """Everything is compared; what was found of this order."""
        said: list[tuple[str, Discrepancy]] = []
        began = now()
        await drain(
            lambda: reconcile_batch(
                self.store,
                self.orders.history,
                now,
                terms,
                began - terms.recheck_interval,
                lambda of, found: said.append((of, found)),
            )
        )
        return [found.kind for of, found in said if of == order_id]

    async def alerts(self, order_id: str) -> list[str]:
        """The reasons of alerts that leave."""
        rows = await self.orders.execute_sql(
            "SELECT payload FROM outbox WHERE type = 'system.alert' AND subject = %(id)s ORDER BY id",
            id=f"order:{order_id}",
        )
        return [get_codec().decode(SystemAlert, bytes(row["payload"])).reason for row in rows]

    async def event_ids(self, order_id: str, kind: str) -> list[str]:
        """Of an order's events of one type that wait to leave."""
        rows = await self.orders.execute_sql(
            "SELECT event_id FROM outbox WHERE type = %(kind)s AND subject = %(id)s", kind=kind, id=order_id
        )
        return [row["event_id"] for row in rows]


@pytest.fixture
async def accountant(orders: Orders) -> Accountant:
    """Other tests' orders are done with."""
    await orders.execute_sql("UPDATE orders SET reconciled_at = '9999-01-01'")
    await orders.execute_sql("UPDATE payments SET reconciled_at = '9999-01-01'")
    await orders.execute_sql("UPDATE orders SET partner_notified_at = now() WHERE status = 'paid'")
    await orders.execute_sql("UPDATE orders SET ready_at = now() + interval '1 day' WHERE status = 'ready'")
    return Accountant(orders)


async def settled(orders: Orders, accountant: Accountant) -> str:
    """An order that was overpaid, cancelled and paid back, with all that consumers write of it."""
    order_id = await orders.place_order()
    await orders.pay(order_id, 250)
    await usecases.cancel_order(orders.repository, now, ADA, order_id, "no appetite")
    await send(orders, Ledger())
    await accountant.look(order_id)
    assert await accountant.look(order_id) == []
    await orders.execute_sql("DELETE FROM outbox")
    return order_id


type Plant = Callable[[Orders, str], Awaitable[Any]]


def in_documents(what: str, how: str, *said: dict[str, Any]) -> Plant:
    async def plant(orders: Orders, order_id: str) -> None:
        collection = orders.client.get_default_database("orders")[what]
        wanted = {"order_id": order_id} | ({"version": 2} if what == "history" else {})
        await getattr(collection, how)(wanted, *said)

    return plant


def in_tables(statement: str) -> Plant:
    return lambda orders, order_id: orders.execute_sql(statement, id=order_id)


MENDED = {
    "an entry is gone": (DiscrepancyKind.HISTORY_MISSING, in_documents("history", "delete_one")),
    "an entry was changed": (
        DiscrepancyKind.HISTORY_MISMATCH,
        in_documents("history", "update_one", {"$set": {"actor": "eve"}}),
    ),
    "an entry cannot be read": (
        DiscrepancyKind.HISTORY_MISSING,
        in_documents("history", "update_one", {"$set": {"status": "?"}}),
    ),
    "a payment document is gone": (DiscrepancyKind.PAYMENT_DOCUMENT_MISSING, in_documents("payments", "delete_one")),
    "a payment document was changed": (
        DiscrepancyKind.PAYMENT_DOCUMENT_MISMATCH,
        in_documents("payments", "update_one", {"$set": {"amount": 1}}),
    ),
    "a payment is gone": (
        DiscrepancyKind.PAYMENT_ROW_MISSING,
        in_tables("DELETE FROM payments WHERE order_id = %(id)s"),
    ),
    "a refund of the excess is gone": (
        DiscrepancyKind.REFUND_MISSING,
        in_tables("DELETE FROM refunds WHERE order_id = %(id)s AND amount = 50"),
    ),
    "a refund of the order is gone": (
        DiscrepancyKind.REFUND_MISSING,
        in_tables("DELETE FROM refunds WHERE order_id = %(id)s AND amount = 200"),
    ),
    "a sum is wrong": (
        DiscrepancyKind.REFUND_TOTAL_MISMATCH,
        in_tables("UPDATE orders SET refunded_amount = 7, refund_status = 'failed' WHERE id = %(id)s"),
    ),
}


@pytest.mark.parametrize(("kind", "plant"), MENDED.values(), ids=MENDED)
async def test_what_can_be_made_again_is(
    orders: Orders, accountant: Accountant, kind: DiscrepancyKind, plant: Plant
) -> None:
    order_id = await settled(orders, accountant)
    before = await orders.get_order(order_id)
    await plant(orders, order_id)
    assert await accountant.look(order_id) == [kind]
    assert await accountant.look(order_id) == []
    bank = Ledger()
    await send(orders, bank)
    assert bank.given == {}, "what the bank has given back already is asked for once more"
    assert await accountant.alerts(order_id) == []
    after = await orders.get_order(order_id)
    assert replace(after, version=before.version, updated_at=before.updated_at) == before
    assert after.version - before.version == (kind is DiscrepancyKind.REFUND_TOTAL_MISMATCH)
    history = await usecases.get_history(orders.repository, orders.history, ADA, order_id, 10, "")
    assert [(entry.version, str(entry.status)) for entry in history.items] == [
        (1, "pending"),
        (2, "paid"),
        (3, "cancelled"),
    ]


async def nowhere(orders: Orders, order_id: str) -> None:
    await orders.execute_sql("DELETE FROM payments WHERE order_id = %(id)s", id=order_id)
    await in_documents("payments", "delete_many")(orders, order_id)


def copied(what: str, **changed: Any) -> Plant:
    async def plant(orders: Orders, order_id: str) -> None:
        collection = orders.client.get_default_database("orders")[what]
        document = await collection.find_one({"order_id": order_id})
        assert document is not None
        await collection.insert_one(document | changed | {"_id": new_id()})

    return plant


REPORTS = {
    "an entry of nothing": (DiscrepancyKind.HISTORY_UNEXPECTED, copied("history", version=99)),
    "a step is gone": (
        DiscrepancyKind.TRANSITIONS_INCOMPLETE,
        in_tables("DELETE FROM order_transitions WHERE order_id = %(id)s AND version = 3"),
    ),
    "a document of no payment": (DiscrepancyKind.PAYMENT_UNEXPECTED, copied("payments", payment_id="nobody's")),
    "more was paid than came": (
        DiscrepancyKind.PAID_AMOUNT_MISMATCH,
        in_tables("UPDATE orders SET paid_amount = paid_amount + 1 WHERE id = %(id)s"),
    ),
    "the payment is nowhere": (DiscrepancyKind.PAYMENT_MISSING, nowhere),
    "a refund that nobody owes": (
        DiscrepancyKind.REFUND_UNEXPECTED,
        in_tables(
            "INSERT INTO refunds (id, bank_id, payment_id, order_id, amount, currency, status, created_at, next_at)"
            " SELECT %(id)s, bank_id, payment_id, order_id, 99, currency, 'refunded', now(), now()"
            " FROM refunds WHERE order_id = %(id)s LIMIT 1"
        ),
    ),
}


@pytest.mark.parametrize(("kind", "plant"), REPORTS.values(), ids=REPORTS)
async def test_what_nobody_but_a_person_can_settle_is_reported_once(
    orders: Orders, accountant: Accountant, kind: DiscrepancyKind, plant: Plant
) -> None:
    order_id = await settled(orders, accountant)
    await plant(orders, order_id)
    assert kind in await accountant.look(order_id)
    again = await accountant.look(order_id)
    assert kind in again
    assert set(again) <= REPORTED_KINDS
    assert (await accountant.alerts(order_id)).count(kind) == 1


async def test_an_event_that_was_never_written_is_written_by_the_id_that_it_would_have_had(
    orders: Orders, accountant: Accountant
) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    [event_id] = await accountant.event_ids(order_id, "orders.paid")
    await accountant.look(order_id)
    assert await accountant.event_ids(order_id, "orders.paid") == [event_id], "it was waiting to leave"
    await orders.execute_sql("DELETE FROM outbox WHERE subject = %(id)s", id=order_id)
    await in_documents("history", "delete_one")(orders, order_id)
    assert await accountant.look(order_id) == [DiscrepancyKind.HISTORY_MISSING]
    assert await accountant.event_ids(order_id, "orders.paid") == [event_id]
    assert await accountant.event_ids(order_id, "orders.created") == [], "that one has its entry"


async def test_an_old_order_is_mended_but_its_events_are_not_said_again(orders: Orders, accountant: Accountant) -> None:
    order_id = await settled(orders, accountant)
    await in_documents("history", "delete_one")(orders, order_id)
    old = replace(AT_ONCE, window=timedelta(0))
    assert await accountant.look(order_id, old) == [DiscrepancyKind.HISTORY_MISSING]
    assert await events(orders, order_id) == []
    rows = await orders.execute_sql(
        "SELECT extract(year FROM reconciled_at) AS year FROM orders WHERE id = %(id)s", id=order_id
    )
    assert rows == [{"year": 9999}], "it is done with"


async def test_an_order_that_changes_is_left_alone_until_it_rests(orders: Orders, accountant: Accountant) -> None:
    order_id = await orders.place_order()
    restless = replace(AT_ONCE, quiet_period=timedelta(minutes=10))
    assert await accountant.look(order_id, restless) == []
    await orders.execute_sql(
        "UPDATE orders SET updated_at = updated_at - interval '11 minutes' WHERE id = %(id)s", id=order_id
    )
    assert DiscrepancyKind.HISTORY_MISMATCH not in await accountant.look(order_id, restless)
    compared = await orders.execute_sql("SELECT reconciled_at FROM orders WHERE id = %(id)s", id=order_id)
    assert compared[0]["reconciled_at"] is not None
    await orders.pay(order_id)
    changed = await orders.execute_sql("SELECT reconciled_at FROM orders WHERE id = %(id)s", id=order_id)
    assert changed[0]["reconciled_at"] is None, "it is due again"


async def test_several_processes_mend_once_and_report_once(orders: Orders, accountant: Accountant) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await orders.execute_sql("DELETE FROM outbox WHERE subject = %(id)s", id=order_id)
    await orders.execute_sql("UPDATE orders SET paid_amount = paid_amount + 1 WHERE id = %(id)s", id=order_id)
    said: list[Discrepancy] = []

    async def one() -> int:
        return await usecases.reconcile(
            accountant.store,
            orders.history,
            now,
            LATER,
            lambda of, found: said.append(found) if of == order_id else None,
        )

    looked = await asyncio.gather(*(one() for _ in range(5)))
    assert sum(count > 0 for count in looked) >= 1
    assert len(await accountant.event_ids(order_id, "orders.paid")) == 1
    assert await accountant.alerts(order_id) == [DiscrepancyKind.PAID_AMOUNT_MISMATCH]
    async with accountant.store.try_acquire_leadership() as mine, accountant.store.try_acquire_leadership() as others:
        assert (mine, others) == (True, False)
        assert await one() == 0


async def test_while_the_document_store_is_away_nothing_is_taken_for_lost(
    orders: Orders, accountant: Accountant
) -> None:
    order_id = await orders.place_order()
    client, away = mongo.connect("mongodb://127.0.0.1:1/orders?serverSelectionTimeoutMS=100")
    async with client:
        with pytest.raises(ApiError) as refused:
            await usecases.reconcile(accountant.store, MongoHistoryRepository(away), now, AT_ONCE)
    assert refused.value.reason is Reason.UPSTREAM_UNAVAILABLE
    rows = await orders.execute_sql("SELECT reconciled_at FROM orders WHERE id = %(id)s", id=order_id)
    assert rows == [{"reconciled_at": None}]


async def test_a_payment_for_no_order_is_compared_too(orders: Orders, accountant: Accountant) -> None:
    order_id = new_id()
    with pytest.raises(ApiError):
        await orders.pay(order_id)
    await orders.execute_sql("DELETE FROM refunds WHERE order_id = %(id)s", id=order_id)
    assert sorted(await accountant.look(order_id)) == [
        DiscrepancyKind.PAYMENT_DOCUMENT_MISSING,
        DiscrepancyKind.REFUND_MISSING,
    ]
    assert await accountant.look(order_id) == []
    bank = Ledger()
    await send(orders, bank)
    assert list(bank.given.values()) == [200]


async def test_a_paid_order_whose_partner_is_not_told_raises_one_alert_and_is_said_again(
    orders: Orders, accountant: Accountant
) -> None:
    told, untold = await orders.place_order(), await orders.place_order()
    for order_id in (told, untold):
        await orders.pay(order_id)
    await usecases.record_partner_notified(orders.repository, told, 1, now())
    assert await usecases.alert_stuck_orders(accountant.store, now, LATER) == 0
    [event_id] = await accountant.event_ids(untold, "orders.paid")
    await orders.execute_sql("DELETE FROM outbox WHERE subject = %(id)s", id=untold)
    counts = await asyncio.gather(*(usecases.alert_stuck_orders(accountant.store, now, AT_ONCE) for _ in range(4)))
    assert sum(counts) == 1
    assert await accountant.alerts(untold) == ["PARTNER_NOT_NOTIFIED"]
    assert await accountant.alerts(told) == []
    assert await accountant.event_ids(untold, "orders.paid") == [event_id]
    assert await usecases.alert_stuck_orders(accountant.store, now, AT_ONCE) == 0


async def test_a_ready_order_that_nobody_fetches_raises_one_alert(orders: Orders, accountant: Accountant) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await usecases.mark_order_ready(
        orders.repository, now, "orders.readiness", new_id(), order_id, 1, "1 Market Square"
    )
    assert await usecases.alert_stuck_orders(accountant.store, now, LATER) == 0
    for expected in (1, 0):
        assert await usecases.alert_stuck_orders(accountant.store, now, AT_ONCE) == expected
    assert await accountant.alerts(order_id) == ["ORDER_NOT_PICKED_UP"]


async def test_a_partners_word_counts_in_any_order_and_however_often_it_comes(orders: Orders) -> None:
    order_id = await orders.place_order()
    first = datetime(2026, 1, 1, 12, tzinfo=UTC)
    consumer = PartnersConsumer(orders.repository, now)

    async def said(partner_id: int, at: datetime, of: str = order_id) -> datetime | None:
        event = PartnerNotified(order_id=of, partner_id=partner_id, at=at)
        await consumer.partner_notified(
            event, MessageMetadata(consumer.QUEUE, new_id(), "partners.notified", of, at, 1)
        )
        rows = await orders.execute_sql(
            "SELECT partner_notified_at, version FROM orders WHERE id = %(id)s", id=order_id
        )
        assert rows[0]["version"] == 1
        return rows[0]["partner_notified_at"]  # type: ignore[no-any-return]

    assert await said(2, first) is None, "another partner's word"
    assert await said(1, first, of="nobody's") is None
    assert await said(1, first + timedelta(hours=1)) == first + timedelta(hours=1)
    assert await said(1, first) == first
    assert await said(1, first + timedelta(hours=2)) == first
    await usecases.cancel_order(orders.repository, now, ADA, order_id, None)
    await consumer.partner_notified(
        PartnerNotified(order_id=order_id, partner_id=1, at=first),
        MessageMetadata(consumer.QUEUE, new_id(), "partners.notified", order_id, first, 2),
    )
    assert (await orders.get_order(order_id)).version == 2


async def test_webhook_ids_are_forgotten_and_a_repeat_still_gets_its_payments_answer(
    orders: Orders, accountant: Accountant
) -> None:
    order_id, webhook_id = await orders.place_order(), new_id()
    payment_id = await orders.pay(order_id, webhook_id=webhook_id)
    await orders.execute_sql(
        "UPDATE callbacks SET at = at - interval '31 days' WHERE webhook_id = %(id)s", id=webhook_id
    )
    assert await drain(lambda: accountant.store.delete_old_callbacks(now() - timedelta(days=30))) >= 1
    assert await orders.pay(order_id, webhook_id=webhook_id, payment_id=payment_id) == payment_id
    assert (await orders.get_order(order_id)).paid_amount == 200
