"""Reconciliation in PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import override

from sqlalchemy import ColumnElement, Text, bindparam, case, exists, func, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import ARRAY

from generated.events import OrdersEvent
from services.orders.adapters.postgres.banks import PostgresBankReader
from services.orders.adapters.postgres.locks import OrdersLock
from services.orders.adapters.postgres.orders import ORDER_COLUMNS, order_from_row
from services.orders.adapters.postgres.payments import payment_from_row
from services.orders.adapters.postgres.refunds import REFUND_COLUMNS, refund_from_row
from services.orders.adapters.postgres.repository import PostgresUnitOfWork
from services.orders.adapters.postgres.tables import (
    alerts,
    callbacks,
    metadata,
    order_transitions,
    orders,
    payments,
    refunds,
    rejected_payments,
)
from services.orders.domain.orders import HistoryEntry, Order, OrderStatus
from services.orders.domain.payments import Payment, PaymentOutcome, PaymentRecord
from services.orders.domain.reconciliation import OrderRecords
from services.orders.usecases.reconciliation import (
    ReconciliationRepository,
    ReconciliationUnitOfWork,
    RecordsRepository,
)
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import advisory_lock
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement, build_batch_delete
from services.runtime.storage.transactions.transaction import Transaction
from services.runtime.storage.unit_of_work import PostgresUnitOfWorkFactory

FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)
"""`reconciled_at` of orders that are never due again unless they change."""

_outbox = metadata.tables["outbox"]
_ids = bindparam("ids", type_=ARRAY(Text)).any_()
_SELECT_ORDERS = Statement(select(*ORDER_COLUMNS).where(orders.c.id == _ids))
_LOCK_ORDER = Statement(select(orders.c.id).where(orders.c.id == bindparam("id")).with_for_update())
_SELECT_TRANSITIONS = Statement(
    select(order_transitions)
    .where(order_transitions.c.order_id == _ids)
    .order_by(order_transitions.c.order_id, order_transitions.c.version)
)
_SELECT_PAYMENTS = Statement(
    union_all(
        *(
            select(*(table.c[field.name] for field in fields(PaymentRecord))).where(table.c.order_id == _ids)
            for table in (payments, rejected_payments)
        )
    )
)
_SELECT_REFUNDS = Statement(select(*REFUND_COLUMNS).where(refunds.c.order_id == _ids))
_SELECT_PENDING_EVENT_IDS = Statement(select(_outbox.c.event_id).where(_outbox.c.subject == bindparam("subject")))
_SELECT_RECORDED_PAYMENTS = Statement(
    select(payments.c.bank_id, payments.c.payment_id).where(
        payments.c.bank_id == bindparam("bank_ids", type_=ARRAY(Text)).any_(),
        payments.c.payment_id == _ids,
        payments.c.outcome != str(PaymentOutcome.FAILED),
    )
)
_COUNT_RECENT_ORDERS = Statement(
    select(func.count().label("n")).where(orders.c.updated_at >= bindparam("changed_since"))
)
_COUNT_OVERDUE_EVENTS = Statement(select(func.count().label("n")).where(_outbox.c.at < bindparam("before")))


def _build_due_statements(table: str) -> tuple[Statement, Statement]:
    """Build the queries for order ids not reconciled since their last change, and for those due for a recheck."""
    rows = metadata.tables[table]
    order_id, changed_at = (rows.c.id, rows.c.updated_at) if table == "orders" else (rows.c.order_id, rows.c.at)
    is_excluded = order_id == bindparam("excluded_ids", type_=ARRAY(Text)).any_()
    is_unchanged = changed_at < bindparam("unchanged_since")
    batch = select(order_id.label("id")).limit(bindparam("size")).where(is_unchanged, ~is_excluded)
    unreconciled = batch.where(rows.c.reconciled_at.is_(None)).order_by(changed_at)
    recheck = batch.where(rows.c.reconciled_at < bindparam("reconciled_before")).order_by(rows.c.reconciled_at)
    return Statement(unreconciled), Statement(recheck)


_SELECT_DUE_ORDER_IDS = (*_build_due_statements("orders"), *_build_due_statements("payments"))


def _build_reconciled_values(changed_at: ColumnElement[datetime]) -> dict[str, object]:
    in_window = changed_at > bindparam("cutoff", type_=TIMESTAMPTZ)
    marked_at = bindparam("marked_at", type_=TIMESTAMPTZ)
    return {"reconciled_at": case((in_window, marked_at), else_=literal(FAR_FUTURE, TIMESTAMPTZ))}


_MARK_ORDERS_RECONCILED = Statement(
    update(orders)
    .where(orders.c.id == _ids, orders.c.updated_at < bindparam("seen_at"))
    .values(_build_reconciled_values(orders.c.updated_at))
)
_MARK_PAYMENTS_RECONCILED = Statement(
    update(payments)
    .where(payments.c.order_id == _ids, payments.c.at < bindparam("seen_at"))
    .values(_build_reconciled_values(payments.c.at))
)
_is_alerted = exists().where(
    alerts.c.subject == func.concat("order:", orders.c.id), alerts.c.reason == bindparam("reason")
)
_is_paid_before = exists().where(
    order_transitions.c.order_id == orders.c.id,
    order_transitions.c.status == str(OrderStatus.PAID),
    order_transitions.c.at < bindparam("before"),
)
_select_in_progress = (
    select(*ORDER_COLUMNS).where(~_is_alerted).limit(bindparam("size")).with_for_update(of=orders, skip_locked=True)
)
_SELECT_UNNOTIFIED_ORDERS_FOR_UPDATE = Statement(
    _select_in_progress.where(
        orders.c.status == str(OrderStatus.PAID), orders.c.partner_notified_at.is_(None), _is_paid_before
    )
)
_SELECT_UNASSIGNED_ORDERS_FOR_UPDATE = Statement(
    _select_in_progress.where(orders.c.status == str(OrderStatus.READY), orders.c.ready_at < bindparam("before"))
)
_DELETE_OLD_CALLBACKS = build_batch_delete(callbacks, callbacks.c.at < bindparam("before"))


async def _load_records(transaction: Transaction, order_ids: Sequence[str]) -> dict[str, OrderRecords]:
    ids = list(order_ids)
    records = {order_id: OrderRecords() for order_id in ids}
    for row in await transaction.fetch_all(_SELECT_ORDERS, ids=ids):
        records[row["id"]].order = order_from_row(row)
    for row in await transaction.fetch_all(_SELECT_TRANSITIONS, ids=ids):
        records[row["order_id"]].transitions.append(HistoryEntry(**(row | {"status": OrderStatus(row["status"])})))
    for row in await transaction.fetch_all(_SELECT_PAYMENTS, ids=ids):
        records[row["order_id"]].payments.append(payment_from_row(row))
    for row in await transaction.fetch_all(_SELECT_REFUNDS, ids=ids):
        records[row["order_id"]].refunds.append(refund_from_row(row))
    return records


class PostgresRecordsRepository(RecordsRepository):
    """Rows of orders of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def load_for_update(self, order_id: str) -> OrderRecords:
        await self._transaction.execute(_LOCK_ORDER, id=order_id)
        return (await _load_records(self._transaction, [order_id]))[order_id]

    @override
    async def list_pending_event_ids(self, order_id: str) -> set[str]:
        return {
            row["event_id"] for row in await self._transaction.fetch_all(_SELECT_PENDING_EVENT_IDS, subject=order_id)
        }

    @override
    async def list_unnotified_for_update(self, before: datetime, reason: str, size: int) -> list[Order]:
        rows = await self._transaction.fetch_all(
            _SELECT_UNNOTIFIED_ORDERS_FOR_UPDATE, before=before, reason=reason, size=size
        )
        return [order_from_row(row) for row in rows]

    @override
    async def list_unassigned_for_update(self, before: datetime, reason: str, size: int) -> list[Order]:
        rows = await self._transaction.fetch_all(
            _SELECT_UNASSIGNED_ORDERS_FOR_UPDATE, before=before, reason=reason, size=size
        )
        return [order_from_row(row) for row in rows]


class PostgresReconciliationUnitOfWork(PostgresUnitOfWork, ReconciliationUnitOfWork):
    """One transaction of reconciliation in PostgreSQL."""

    def __init__(self, transaction: Transaction, outbox: Outbox[OrdersEvent]) -> None:
        super().__init__(transaction, outbox)
        self.records = PostgresRecordsRepository(transaction)


class PostgresReconciliationRepository(PostgresUnitOfWorkFactory[ReconciliationUnitOfWork], ReconciliationRepository):
    """Repository of orders for reconciliation in PostgreSQL."""

    def __init__(self, database: Database, outbox: Outbox[OrdersEvent]) -> None:
        super().__init__(database, lambda transaction: PostgresReconciliationUnitOfWork(transaction, outbox))
        self.banks = PostgresBankReader(database)

    @override
    @asynccontextmanager
    async def try_acquire_leadership(self) -> AsyncIterator[bool]:
        async with self._database.transaction() as transaction:
            yield await advisory_lock.try_acquire(transaction, OrdersLock.RECONCILIATION)

    @override
    async def list_due_order_ids(
        self, unchanged_since: datetime, reconciled_before: datetime, size: int, excluded_ids: Collection[str]
    ) -> list[str]:
        order_ids: dict[str, None] = {}
        for statement in _SELECT_DUE_ORDER_IDS:
            rows = await self._database.fetch_all(
                statement,
                unchanged_since=unchanged_since,
                reconciled_before=reconciled_before,
                size=size,
                excluded_ids=list(excluded_ids),
            )
            order_ids |= {row["id"]: None for row in rows}
        return list(order_ids)

    @override
    async def count_recent_orders(self, changed_since: datetime) -> int:
        row = await self._database.fetch_one(_COUNT_RECENT_ORDERS, changed_since=changed_since)
        return row["n"] if row else 0

    @override
    async def find_unknown_payments(self, payments: Sequence[Payment]) -> list[Payment]:
        ids, bank_ids = [payment.payment_id for payment in payments], [payment.bank_id for payment in payments]
        rows = await self._database.fetch_all(_SELECT_RECORDED_PAYMENTS, ids=ids, bank_ids=bank_ids)
        recorded = {(row["bank_id"], row["payment_id"]) for row in rows}
        return [payment for payment in payments if (payment.bank_id, payment.payment_id) not in recorded]

    @override
    async def load_records(self, order_ids: Sequence[str]) -> dict[str, OrderRecords]:
        async with self._database.connection() as connection:
            return await _load_records(connection, order_ids)

    @override
    async def mark_reconciled(self, order_ids: Sequence[str], at: datetime, cutoff: datetime) -> None:
        for statement in (_MARK_ORDERS_RECONCILED, _MARK_PAYMENTS_RECONCILED):
            await self._database.execute(statement, ids=list(order_ids), seen_at=at, marked_at=at, cutoff=cutoff)

    @override
    async def count_overdue_events(self, before: datetime) -> int:
        row = await self._database.fetch_one(_COUNT_OVERDUE_EVENTS, before=before)
        return row["n"] if row else 0

    async def delete_old_callbacks(self, before: datetime) -> int:
        """Delete a batch of old webhook ids; a repeated callback still gets the result of its payment."""
        return await self._database.execute(_DELETE_OLD_CALLBACKS, before=before)
