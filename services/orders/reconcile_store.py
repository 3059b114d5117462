"""What reconciliation reads of PostgreSQL, and what it marks there."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime

from sqlalchemy import Text, bindparam, case, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from generated.events import OrdersEvent
from services.orders.domain import HistoryEntry, Order, OrderStatus
from services.orders.money import Outcome, PaymentRecord
from services.orders.payments_store import REFUND, refund_of
from services.orders.reconciliation import Books
from services.orders.store import COLUMNS, OrdersUnit, order_of
from services.orders.tables import TIME, alerts, callbacks, metadata, orders, payments, refunds, steps
from services.runtime.database import Database, Statement, Transaction, delete_some
from services.runtime.outbox import Outbox

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When an order is looked at again that has not changed for long."""

_outbox = metadata.tables["outbox"]
_ids = bindparam("ids", type_=ARRAY(Text)).any_()
_ORDERS = Statement(select(*COLUMNS).where(orders.c.id == _ids))
_STEPS = Statement(select(steps).where(steps.c.order_id == _ids).order_by(steps.c.order_id, steps.c.version))
_PAYMENTS = Statement(
    select(*(payments.c[each.name] for each in fields(PaymentRecord))).where(payments.c.order_id == _ids)
)
_REFUNDS = Statement(select(*REFUND).where(refunds.c.order_id == _ids))
_LEAVING = Statement(select(_outbox.c.event_id).where(_outbox.c.subject == bindparam("subject")))
_WAITING = Statement(select(func.count().label("n")).where(_outbox.c.at < bindparam("before")))
_LEAD = Statement(select(func.pg_try_advisory_xact_lock(func.hashtextextended("reconciliation", 0)).label("mine")))


def _due(table: str) -> tuple[Statement, Statement]:
    """Orders by id that were never compared since they changed, and those that were compared long ago."""
    named = metadata.tables[table]
    order_id, changed = (named.c.id, named.c.updated_at) if table == "orders" else (named.c.order_id, named.c.at)
    some = select(order_id.label("id")).limit(bindparam("size")).where(changed < bindparam("quiet"))
    never = some.where(named.c.reconciled_at.is_(None)).order_by(changed)
    long_ago = some.where(named.c.reconciled_at < bindparam("long_ago")).order_by(named.c.reconciled_at)
    return Statement(never), Statement(long_ago)


_DUE = (*_due("orders"), *_due("payments"))


def _mark(changed: str) -> dict[str, object]:
    at = bindparam("marked_at", type_=TIME)
    column = orders.c.updated_at if changed == "updated_at" else payments.c.at
    return {"reconciled_at": case((column > bindparam("horizon", type_=TIME), at), else_=literal(NEVER, TIME))}


_MARK_ORDERS = Statement(
    update(orders).where(orders.c.id == _ids, orders.c.updated_at < bindparam("seen_at")).values(_mark("updated_at"))
)
_MARK_PAYMENTS = Statement(
    update(payments).where(payments.c.order_id == _ids, payments.c.at < bindparam("seen_at")).values(_mark("at"))
)
_alerted = exists().where(
    alerts.c.subject == func.concat("order:", orders.c.id), alerts.c.reason == bindparam("reason")
)
_paid_before = exists().where(
    steps.c.order_id == orders.c.id, steps.c.status == str(OrderStatus.PAID), steps.c.at < bindparam("before")
)
_under_way = select(*COLUMNS).where(~_alerted).limit(bindparam("size")).with_for_update(of=orders, skip_locked=True)
_UNTOLD = Statement(
    _under_way.where(orders.c.status == str(OrderStatus.PAID), orders.c.partner_told_at.is_(None), _paid_before)
)
_UNFETCHED = Statement(
    _under_way.where(orders.c.status == str(OrderStatus.READY), orders.c.ready_at < bindparam("before"))
)
_CLEAR_CALLBACKS = delete_some(callbacks, callbacks.c.at < bindparam("before"))


async def _read(transaction: Transaction, order_ids: Sequence[str]) -> dict[str, Books]:
    ids = list(order_ids)
    found = {order_id: Books() for order_id in ids}
    for row in await transaction.many(_ORDERS, ids=ids):
        found[row["id"]].order = order_of(row)
    for row in await transaction.many(_STEPS, ids=ids):
        found[row["order_id"]].steps.append(HistoryEntry(**(row | {"status": OrderStatus(row["status"])})))
    for row in await transaction.many(_PAYMENTS, ids=ids):
        found[row["order_id"]].payments.append(PaymentRecord(**(row | {"outcome": Outcome(row["outcome"])})))
    for row in await transaction.many(_REFUNDS, ids=ids):
        found[row["order_id"]].refunds.append(refund_of(row))
    return found


class ReconcileUnit(OrdersUnit):
    """One transaction that mends."""

    async def kept(self, order_id: str) -> Books:
        """All that PostgreSQL keeps of an order, which is locked."""
        await self.order(order_id)
        return (await _read(self._transaction, [order_id]))[order_id]

    async def leaving(self, order_id: str) -> set[str]:
        """The ids of an order's events that wait to leave."""
        return {row["event_id"] for row in await self._transaction.many(_LEAVING, subject=order_id)}

    async def untold(self, before: datetime, reason: str, size: int) -> list[Order]:
        """Orders paid before that, locked, whose partner has not taken them, and nobody was alerted."""
        return [order_of(row) for row in await self._transaction.many(_UNTOLD, before=before, reason=reason, size=size)]

    async def unfetched(self, before: datetime, reason: str, size: int) -> list[Order]:
        """Orders ready before that, locked, which no deliverer has taken, and nobody was alerted."""
        rows = await self._transaction.many(_UNFETCHED, before=before, reason=reason, size=size)
        return [order_of(row) for row in rows]


class ReconcileStore:
    """Orders in PostgreSQL, as they are compared."""

    def __init__(self, database: Database, outbox: Outbox[OrdersEvent]) -> None:
        self._database = database
        self._outbox = outbox

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[ReconcileUnit]:
        """Commits at the end of the block, rolls back when it raises."""
        async with self._database.transaction() as transaction:
            yield ReconcileUnit(transaction, self._outbox)

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[bool]:
        """Whether no other process reconciles; none does before the block ends."""
        async with self._database.transaction() as transaction:
            row = await transaction.one(_LEAD)
            yield row is not None and row["mine"]

    async def due(self, quiet: datetime, long_ago: datetime, size: int) -> list[str]:
        """Orders that have not changed since `quiet`, and were not compared since they changed, or since `long_ago`."""
        found: dict[str, None] = {}
        for statement in _DUE:
            rows = await self._database.many(statement, quiet=quiet, long_ago=long_ago, size=size)
            found |= {row["id"]: None for row in rows}
        return list(found)

    async def kept(self, order_ids: Sequence[str]) -> dict[str, Books]:
        """All that PostgreSQL keeps of some orders."""
        async with self._database.connection() as connection:
            return await _read(connection, order_ids)

    async def reconciled(self, order_ids: Sequence[str], at: datetime, horizon: datetime) -> None:
        """Marks orders that have not changed since `at`; those that have not since `horizon` are done with."""
        for statement in (_MARK_ORDERS, _MARK_PAYMENTS):
            await self._database.run(statement, ids=list(order_ids), seen_at=at, marked_at=at, horizon=horizon)

    async def waiting(self, before: datetime) -> int:
        """How many events have waited to leave since before that."""
        row = await self._database.one(_WAITING, before=before)
        return row["n"] if row else 0

    async def clear_callbacks(self, before: datetime) -> int:
        """Forgets some webhook ids of banks; their payments stay, and a repeat gets the payment's answer."""
        return await self._database.run(_CLEAR_CALLBACKS, before=before)
