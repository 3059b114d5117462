"""Orders in PostgreSQL: statements, and the rows they make and read."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Text, bindparam, case, exists, func, insert, null, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql

from generated.events import OrdersEvent
from generated.problems import Reason
from services.orders import counts, facts
from services.orders.domain import FINAL, Bank, HistoryEntry, Item, Order, OrderStatus, Partner, RefundStatus
from services.orders.payments_store import PaymentsUnit, RefundsDue, named
from services.orders.tables import TIME, banks, forgotten, orders, steps
from services.runtime import idempotency, inbox
from services.runtime.database import Database, Statement, Transaction, upsert
from services.runtime.idempotency import Kept, Key
from services.runtime.outbox import Outbox
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal
from services.runtime.together import Together

_FIELDS = tuple(field.name for field in fields(Order))
COLUMNS = [orders.c[name] for name in _FIELDS]
_CHANGING = (
    "status",
    "paid_amount",
    "refunded_amount",
    "refund_status",
    "payment_id",
    "pickup_address",
    "deliverer_id",
    "cancel_reason",
    "version",
    "updated_at",
)
_new_status, _new_time = bindparam("new_status", type_=Text), bindparam("new_updated_at", type_=TIME)


def order_of(row: dict[str, Any]) -> Order:
    """A row as an order."""
    values = {name: row[name] for name in _FIELDS}
    values["status"] = OrderStatus(values["status"])
    values["refund_status"] = RefundStatus(values["refund_status"])
    values["partner"] = Partner(**values["partner"])
    values["items"] = tuple(Item(**item) for item in values["items"])
    return Order(**values)


def _values(order: Order) -> dict[str, Any]:
    values = asdict(order)
    values["partner"], values["items"] = Jsonb(values["partner"]), Jsonb(values["items"])
    return values


_ORDER = Statement(select(*COLUMNS).where(orders.c.id == bindparam("id")))
_LOCKED_ORDER = Statement(select(*COLUMNS).where(orders.c.id == bindparam("id")).with_for_update())
_ORDER_OF_CHECK = Statement(select(*COLUMNS).where(orders.c.check_id == bindparam("check_id")))
_made = (
    postgresql.insert(orders)
    .values({name: bindparam(name) for name in (*_FIELDS, "check_id")})
    .on_conflict_do_nothing(index_elements=["check_id"])
    .returning(orders.c.id, orders.c.version, orders.c.status, orders.c.updated_at)
    .cte("made")
)
_ADD_ORDER = Statement(
    insert(steps).from_select(
        ["order_id", "version", "status", "at", "actor"],
        select(_made.c.id, _made.c.version, _made.c.status, _made.c.updated_at, bindparam("actor", type_=Text)),
    )
)
_CHANGE_ORDER = Statement(
    update(orders)
    .where(
        orders.c.id == bindparam("order_id"),
        orders.c.version == bindparam("old_version"),
        orders.c.status == bindparam("old_status"),
    )
    .values(
        {name: bindparam(f"new_{name}") for name in _CHANGING}
        | {"ready_at": case((_new_status == "ready", func.coalesce(orders.c.ready_at, _new_time)), else_=null())}
        | {"reconciled_at": null()}
    )
)
_PARTNER_TOLD = Statement(
    update(orders)
    .where(
        orders.c.id == bindparam("order_id"),
        orders.c.partner["id"].astext == bindparam("partner_id", type_=Text),
        or_(orders.c.partner_told_at.is_(None), orders.c.partner_told_at > bindparam("told_at")),
    )
    .values(partner_told_at=bindparam("told_at"))
)
_ADD_STEP = Statement(insert(steps).values(named(steps)))
_STEPS = Statement(
    select(steps)
    .where(steps.c.order_id == bindparam("order_id"), steps.c.version > bindparam("after"))
    .order_by(steps.c.version)
)
_UNPAID = Statement(
    select(*COLUMNS)
    .where(orders.c.status == "pending", orders.c.created_at < bindparam("before"))
    .order_by(orders.c.created_at)
    .limit(bindparam("size"))
    .with_for_update(skip_locked=True)
)
_PAGE = (
    select(*COLUMNS)
    .where(
        tuple_(orders.c.created_at, orders.c.id)
        < tuple_(bindparam("before_at", type_=TIME), bindparam("before_id", type_=Text))
    )
    .order_by(orders.c.created_at.desc(), orders.c.id.desc())
    .limit(bindparam("size"))
)
_MINE = {"customer": orders.c.customer_id, "deliverer": orders.c.deliverer_id}
_PAGES = {
    "admin": _PAGE,
    **{role: _PAGE.where(column == bindparam("user_id", type_=Text)) for role, column in _MINE.items()},
}
_ORDERS = {role: Statement(page) for role, page in _PAGES.items()}
_ORDERS_IN = {role: Statement(page.where(orders.c.status == bindparam("status"))) for role, page in _PAGES.items()}
_DELIVERIES = Statement(
    select(*COLUMNS, orders.c.ready_at)
    .where(
        orders.c.status == "ready",
        tuple_(orders.c.ready_at, orders.c.id)
        > tuple_(bindparam("after_at", type_=TIME), bindparam("after_id", type_=Text)),
    )
    .order_by(orders.c.ready_at, orders.c.id)
    .limit(bindparam("size"))
)
_BANK = Statement(select(banks).where(banks.c.id == bindparam("id")), into=Bank)
_LOCKED_BANK = Statement(select(banks).where(banks.c.id == bindparam("id")).with_for_update(), into=Bank)
_ADD_BANK = Statement(postgresql.insert(banks).values(named(banks)).on_conflict_do_nothing())
_PUT_BANK = upsert(banks)
_BANKS = Statement(
    select(banks).where(banks.c.active, banks.c.id > bindparam("after")).order_by(banks.c.id).limit(bindparam("size")),
    into=Bank,
)
_FORGET = Statement(postgresql.insert(forgotten).values(customer_id=bindparam("customer_id")).on_conflict_do_nothing())
_ERASE = Statement(
    update(orders)
    .where(
        orders.c.customer_id == bindparam("customer"),
        or_(*(orders.c.status == str(status) for status in sorted(FINAL))),
        exists().where(forgotten.c.customer_id == orders.c.customer_id),
    )
    .values(customer_name=null(), customer_phone=null(), delivery_address="")
)

_BEGINNING = (datetime.min.replace(tzinfo=UTC), "")
_END = (datetime.max.replace(tzinfo=UTC), "")


class OrdersUnit(PaymentsUnit):
    """One transaction over orders and payments."""

    def __init__(self, transaction: Transaction, outbox: Outbox[OrdersEvent]) -> None:
        super().__init__(transaction)
        self._outbox = outbox

    async def bank(self, bank_id: str) -> Bank | None:
        """The bank, active or not."""
        return await self._transaction.one(_BANK, id=bank_id)

    async def locked_bank(self, bank_id: str) -> Bank | None:
        """The bank, locked until the transaction ends."""
        return await self._transaction.one(_LOCKED_BANK, id=bank_id)

    async def add_bank(self, bank: Bank) -> bool:
        """Keeps a new bank; False when there is one of this id."""
        return await self._transaction.run(_ADD_BANK, **asdict(bank)) == 1

    async def put_bank(self, bank: Bank) -> None:
        """Keeps what a bank is now."""
        await self._transaction.run(_PUT_BANK, **asdict(bank))

    async def order(self, order_id: str) -> Order | None:
        """The order, locked until the transaction ends."""
        row = await self._transaction.one(_LOCKED_ORDER, id=order_id)
        return None if row is None else order_of(row)

    async def order_of_check(self, check_id: str) -> Order | None:
        """The order that a check became."""
        row = await self._transaction.one(_ORDER_OF_CHECK, check_id=check_id)
        return None if row is None else order_of(row)

    async def add_order(self, order: Order, check_id: str, actor: str) -> bool:
        """Keeps a new order and its first step; False when the check has become one already."""
        if not await self._transaction.run(_ADD_ORDER, check_id=check_id, actor=actor, **_values(order)):
            return False
        self._transaction.after_commit(lambda: counts.moved(None, order))
        return True

    async def _add_step(self, order: Order, actor: str, note: str | None) -> None:
        await self._transaction.run(
            _ADD_STEP,
            order_id=order.id,
            version=order.version,
            status=order.status,
            at=order.updated_at,
            actor=actor,
            note=note,
        )

    async def unpaid(self, before: datetime, size: int) -> list[Order]:
        """Pending orders made before that, locked; those that others have locked are left out."""
        return [order_of(row) for row in await self._transaction.many(_UNPAID, before=before, size=size)]

    async def change_order(self, before: Order, after: Order, actor: str, note: str | None = None) -> None:
        """Compare-and-set on status and version. Refuses ORDER_STATE_CONFLICT when another was faster."""
        values = _values(after)
        changed = await self._transaction.run(
            _CHANGE_ORDER,
            order_id=before.id,
            old_version=before.version,
            old_status=before.status,
            **{f"new_{name}": values[name] for name in _CHANGING},
        )
        if not changed:
            raise Refusal(Reason.ORDER_STATE_CONFLICT)
        await self._add_step(after, actor, note)
        self._transaction.after_commit(lambda: counts.moved(before, after))
        if after.status in FINAL:
            await self._transaction.run(_ERASE, customer=after.customer_id)

    async def first_event(self, queue: str, event_id: str) -> bool:
        """Whether this event was never consumed before; from now on it was."""
        return await inbox.first(self._transaction, queue, event_id)

    async def publish(self, event: OrdersEvent) -> None:
        """Lets the event leave when the transaction has committed."""
        await self._outbox.add(self._transaction, event, facts.event_id(event))


class OrdersStore(RefundsDue):
    """Orders in PostgreSQL."""

    def __init__(self, database: Database, outbox: Outbox[OrdersEvent]) -> None:
        super().__init__(database)
        self._outbox = outbox
        self._followers = Together(self._steps)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[OrdersUnit]:
        """Commits at the end of the block, rolls back when it raises."""
        async with self._database.transaction() as transaction:
            yield OrdersUnit(transaction, self._outbox)

    async def once(self, key: Key | None, work: Callable[[OrdersUnit], Awaitable[bytes]]) -> Kept:
        """Does the work in a unit, or gives the first answer to the key again."""
        return await idempotency.once(
            self._database, key, lambda transaction: work(OrdersUnit(transaction, self._outbox))
        )

    async def steps(self, order_id: str, after: int) -> list[HistoryEntry]:
        """Every change of an order since a version, oldest first; asked once for all who follow it."""
        return await self._followers.get((order_id, after))

    async def _steps(self, since: tuple[str, int]) -> list[HistoryEntry]:
        order_id, after = since
        rows = await self._database.many(_STEPS, order_id=order_id, after=after)
        return [HistoryEntry(**(row | {"status": OrderStatus(row["status"])})) for row in rows]

    async def order(self, order_id: str) -> Order | None:
        """The order as it stands."""
        row = await self._database.one(_ORDER, id=order_id)
        return None if row is None else order_of(row)

    async def orders(
        self, size: int, before: tuple[datetime, str] | None, who: Principal, status: OrderStatus | None
    ) -> list[Order]:
        """Newest first: a customer's own, a deliverer's assigned, all for an admin."""
        at, order_id = before or _END
        statements = _ORDERS if status is None else _ORDERS_IN
        statement = statements.get(who.role or "")
        if statement is None:
            return []
        rows = await self._database.many(
            statement, size=size, before_at=at, before_id=order_id, user_id=who.user_id, status=status
        )
        return [order_of(row) for row in rows]

    async def partner_told(self, order_id: str, partner_id: int, at: datetime) -> None:
        """Keeps since when that partner knows of the order, the earliest time that was ever said."""
        await self._database.run(_PARTNER_TOLD, order_id=order_id, partner_id=str(partner_id), told_at=at)

    async def deliveries(self, size: int, after: tuple[datetime, str] | None) -> list[tuple[datetime, Order]]:
        """Ready orders, longest ready first, each with the time since."""
        at, order_id = after or _BEGINNING
        rows = await self._database.many(_DELIVERIES, size=size, after_at=at, after_id=order_id)
        return [(row["ready_at"], order_of(row)) for row in rows]

    async def bank(self, bank_id: str) -> Bank | None:
        """The bank, active or not."""
        return await self._database.one(_BANK, id=bank_id)

    async def banks(self, size: int, after: str) -> list[Bank]:
        """Active banks, by id."""
        return await self._database.many(_BANKS, size=size, after=after)

    async def forget(self, customer_id: str) -> None:
        """Removes the person from the orders that are over, and from the others once they are."""
        async with self._database.transaction() as transaction:
            await transaction.run(_FORGET, customer_id=customer_id)
            await transaction.run(_ERASE, customer=customer_id)
