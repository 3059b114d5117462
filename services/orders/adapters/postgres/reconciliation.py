"""What reconciliation reads of PostgreSQL, and what it marks there."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime

from sqlalchemy import Text, bindparam, case, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from generated.events import OrdersEvent
from services.orders.adapters.postgres.orders import ORDER_COLUMNS, PostgresUnitOfWork, order_from_row
from services.orders.adapters.postgres.payments import REFUND_COLUMNS, refund_from_row
from services.orders.adapters.postgres.tables import (
    TIME,
    alerts,
    callbacks,
    metadata,
    order_transitions,
    orders,
    payments,
    refunds,
)
from services.orders.domain.orders import HistoryEntry, Order, OrderStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord
from services.orders.domain.reconciliation import OrderRecords
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.database import Database, Statement, Transaction, build_batch_delete

FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)
"""When an order is looked at again that has not changed for long."""

_outbox = metadata.tables["outbox"]
_ids = bindparam("ids", type_=ARRAY(Text)).any_()
_SELECT_ORDERS = Statement(select(*ORDER_COLUMNS).where(orders.c.id == _ids))
_SELECT_TRANSITIONS = Statement(
    select(order_transitions)
    .where(order_transitions.c.order_id == _ids)
    .order_by(order_transitions.c.order_id, order_transitions.c.version)
)
_SELECT_PAYMENTS = Statement(
    select(*(payments.c[each.name] for each in fields(PaymentRecord))).where(payments.c.order_id == _ids)
)
_SELECT_REFUNDS = Statement(select(*REFUND_COLUMNS).where(refunds.c.order_id == _ids))
_SELECT_PENDING_EVENT_IDS = Statement(select(_outbox.c.event_id).where(_outbox.c.subject == bindparam("subject")))
_COUNT_OVERDUE_EVENTS = Statement(select(func.count().label("n")).where(_outbox.c.at < bindparam("before")))
_TRY_LEADER_LOCK = Statement(
    select(func.pg_try_advisory_xact_lock(func.hashtextextended("reconciliation", 0)).label("mine"))
)


def _build_due_statements(table: str) -> tuple[Statement, Statement]:
    """Orders by id that were never compared since they changed, and those that were compared long ago."""
    named = metadata.tables[table]
    order_id, changed = (named.c.id, named.c.updated_at) if table == "orders" else (named.c.order_id, named.c.at)
    some = select(order_id.label("id")).limit(bindparam("size")).where(changed < bindparam("quiet"))
    never = some.where(named.c.reconciled_at.is_(None)).order_by(changed)
    long_ago = some.where(named.c.reconciled_at < bindparam("long_ago")).order_by(named.c.reconciled_at)
    return Statement(never), Statement(long_ago)


_SELECT_DUE_ORDER_IDS = (*_build_due_statements("orders"), *_build_due_statements("payments"))


def _build_reconciled_values(changed: str) -> dict[str, object]:
    at = bindparam("marked_at", type_=TIME)
    column = orders.c.updated_at if changed == "updated_at" else payments.c.at
    return {"reconciled_at": case((column > bindparam("horizon", type_=TIME), at), else_=literal(FAR_FUTURE, TIME))}


_MARK_ORDERS_RECONCILED = Statement(
    update(orders)
    .where(orders.c.id == _ids, orders.c.updated_at < bindparam("seen_at"))
    .values(_build_reconciled_values("updated_at"))
)
_MARK_PAYMENTS_RECONCILED = Statement(
    update(payments)
    .where(payments.c.order_id == _ids, payments.c.at < bindparam("seen_at"))
    .values(_build_reconciled_values("at"))
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
    found = {order_id: OrderRecords() for order_id in ids}
    for row in await transaction.fetch_all(_SELECT_ORDERS, ids=ids):
        found[row["id"]].order = order_from_row(row)
    for row in await transaction.fetch_all(_SELECT_TRANSITIONS, ids=ids):
        found[row["order_id"]].transitions.append(HistoryEntry(**(row | {"status": OrderStatus(row["status"])})))
    for row in await transaction.fetch_all(_SELECT_PAYMENTS, ids=ids):
        found[row["order_id"]].payments.append(PaymentRecord(**(row | {"outcome": PaymentOutcome(row["outcome"])})))
    for row in await transaction.fetch_all(_SELECT_REFUNDS, ids=ids):
        found[row["order_id"]].refunds.append(refund_from_row(row))
    return found


class PostgresReconciliationUnitOfWork(PostgresUnitOfWork):
    """One transaction that mends."""

    async def load_records(self, order_id: str) -> OrderRecords:
        """All that PostgreSQL keeps of an order, which is locked."""
        await self.get_order_for_update(order_id)
        return (await _load_records(self._transaction, [order_id]))[order_id]

    async def list_pending_event_ids(self, order_id: str) -> set[str]:
        """The ids of an order's events that wait to leave."""
        return {
            row["event_id"] for row in await self._transaction.fetch_all(_SELECT_PENDING_EVENT_IDS, subject=order_id)
        }

    async def get_unnotified_orders_for_update(self, before: datetime, reason: str, size: int) -> list[Order]:
        """Orders paid before that, locked, whose partner has not taken them, and nobody was alerted."""
        return [
            order_from_row(row)
            for row in await self._transaction.fetch_all(
                _SELECT_UNNOTIFIED_ORDERS_FOR_UPDATE, before=before, reason=reason, size=size
            )
        ]

    async def get_unassigned_orders_for_update(self, before: datetime, reason: str, size: int) -> list[Order]:
        """Orders ready before that, locked, which no deliverer has taken, and nobody was alerted."""
        rows = await self._transaction.fetch_all(
            _SELECT_UNASSIGNED_ORDERS_FOR_UPDATE, before=before, reason=reason, size=size
        )
        return [order_from_row(row) for row in rows]


class PostgresReconciliationRepository:
    """Orders in PostgreSQL, as they are compared."""

    def __init__(self, database: Database, outbox: Outbox[OrdersEvent]) -> None:
        self._database = database
        self._outbox = outbox

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[PostgresReconciliationUnitOfWork]:
        """Commits at the end of the block, rolls back when it raises."""
        async with self._database.transaction() as transaction:
            yield PostgresReconciliationUnitOfWork(transaction, self._outbox)

    @asynccontextmanager
    async def try_acquire_leadership(self) -> AsyncIterator[bool]:
        """Whether no other process reconciles; none does before the block ends."""
        async with self._database.transaction() as transaction:
            row = await transaction.fetch_one(_TRY_LEADER_LOCK)
            yield row is not None and row["mine"]

    async def list_due_order_ids(self, unchanged_since: datetime, reconciled_before: datetime, size: int) -> list[str]:
        """Orders that have not changed since `quiet`, and were not compared since they changed, or since `long_ago`."""
        found: dict[str, None] = {}
        for statement in _SELECT_DUE_ORDER_IDS:
            rows = await self._database.fetch_all(
                statement, quiet=unchanged_since, long_ago=reconciled_before, size=size
            )
            found |= {row["id"]: None for row in rows}
        return list(found)

    async def load_records(self, order_ids: Sequence[str]) -> dict[str, OrderRecords]:
        """All that PostgreSQL keeps of some orders."""
        async with self._database.connection() as connection:
            return await _load_records(connection, order_ids)

    async def mark_reconciled(self, order_ids: Sequence[str], at: datetime, cutoff: datetime) -> None:
        """Marks orders that have not changed since `at`; those that have not since `horizon` are done with."""
        for statement in (_MARK_ORDERS_RECONCILED, _MARK_PAYMENTS_RECONCILED):
            await self._database.execute(statement, ids=list(order_ids), seen_at=at, marked_at=at, horizon=cutoff)

    async def count_overdue_events(self, before: datetime) -> int:
        """How many events have waited to leave since before that."""
        row = await self._database.fetch_one(_COUNT_OVERDUE_EVENTS, before=before)
        return row["n"] if row else 0

    async def delete_old_callbacks(self, before: datetime) -> int:
        """Forgets some webhook ids of banks; their payments stay, and a repeat gets the payment's answer."""
        return await self._database.execute(_DELETE_OLD_CALLBACKS, before=before)
