"""PostgreSQL repository of orders and banks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Text, bindparam, case, exists, func, insert, null, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql

from generated.events import OrdersEvent
from generated.problems import Reason
from services.orders.adapters import metrics
from services.orders.adapters.postgres.payments import PostgresPaymentsUnitOfWork, PostgresRefundQueue, bind_all_columns
from services.orders.adapters.postgres.tables import TIME, anonymised_customers, banks, order_transitions, orders
from services.orders.domain.orders import (
    FINAL_STATUSES,
    Bank,
    HistoryEntry,
    Item,
    Order,
    OrderStatus,
    Partner,
    RefundStatus,
)
from services.orders.usecases.event_factory import derive_event_id
from services.runtime.concurrency.coalescing import RequestCoalescer
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.messaging import inbox
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import idempotency
from services.runtime.storage.database import Database, Statement, Transaction, build_upsert
from services.runtime.storage.idempotency import IdempotencyKey, IdempotentResponse

_ORDER_FIELDS = tuple(field.name for field in fields(Order))
ORDER_COLUMNS = [orders.c[name] for name in _ORDER_FIELDS]
_MUTABLE_FIELDS = (
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
_new_status, _new_updated_at = bindparam("new_status", type_=Text), bindparam("new_updated_at", type_=TIME)


def order_from_row(row: dict[str, Any]) -> Order:
    """Convert a row to an order."""
    values = {name: row[name] for name in _ORDER_FIELDS}
    values["status"] = OrderStatus(values["status"])
    values["refund_status"] = RefundStatus(values["refund_status"])
    values["partner"] = Partner(**values["partner"])
    values["items"] = tuple(Item(**item) for item in values["items"])
    return Order(**values)


def _order_to_row(order: Order) -> dict[str, Any]:
    values = asdict(order)
    values["partner"], values["items"] = Jsonb(values["partner"]), Jsonb(values["items"])
    return values


_SELECT_ORDER = Statement(select(*ORDER_COLUMNS).where(orders.c.id == bindparam("id")))
_SELECT_ORDER_FOR_UPDATE = Statement(select(*ORDER_COLUMNS).where(orders.c.id == bindparam("id")).with_for_update())
_SELECT_ORDER_BY_CHECK = Statement(select(*ORDER_COLUMNS).where(orders.c.check_id == bindparam("check_id")))
_inserted_order = (
    postgresql.insert(orders)
    .values({name: bindparam(name) for name in (*_ORDER_FIELDS, "check_id")})
    .on_conflict_do_nothing(index_elements=["check_id"])
    .returning(orders.c.id, orders.c.version, orders.c.status, orders.c.updated_at)
    .cte("inserted")
)
_INSERT_ORDER = Statement(
    insert(order_transitions).from_select(
        ["order_id", "version", "status", "at", "actor"],
        select(
            _inserted_order.c.id,
            _inserted_order.c.version,
            _inserted_order.c.status,
            _inserted_order.c.updated_at,
            bindparam("actor", type_=Text),
        ),
    )
)
_UPDATE_ORDER = Statement(
    update(orders)
    .where(
        orders.c.id == bindparam("order_id"),
        orders.c.version == bindparam("old_version"),
        orders.c.status == bindparam("old_status"),
    )
    .values(
        {name: bindparam(f"new_{name}") for name in _MUTABLE_FIELDS}
        | {"ready_at": case((_new_status == "ready", func.coalesce(orders.c.ready_at, _new_updated_at)), else_=null())}
        | {"reconciled_at": null()}
    )
)
_SET_PARTNER_NOTIFIED_AT = Statement(
    update(orders)
    .where(
        orders.c.id == bindparam("order_id"),
        orders.c.partner["id"].astext == bindparam("partner_id", type_=Text),
        or_(orders.c.partner_notified_at.is_(None), orders.c.partner_notified_at > bindparam("notified_at")),
    )
    .values(partner_notified_at=bindparam("notified_at"))
)
_INSERT_TRANSITION = Statement(insert(order_transitions).values(bind_all_columns(order_transitions)))
_SELECT_TRANSITIONS = Statement(
    select(order_transitions)
    .where(order_transitions.c.order_id == bindparam("order_id"), order_transitions.c.version > bindparam("after"))
    .order_by(order_transitions.c.version)
)
_SELECT_UNPAID_ORDERS_FOR_UPDATE = Statement(
    select(*ORDER_COLUMNS)
    .where(orders.c.status == "pending", orders.c.created_at < bindparam("before"))
    .order_by(orders.c.created_at)
    .limit(bindparam("size"))
    .with_for_update(skip_locked=True)
)
_SELECT_PAGE = (
    select(*ORDER_COLUMNS)
    .where(
        tuple_(orders.c.created_at, orders.c.id)
        < tuple_(bindparam("before_at", type_=TIME), bindparam("before_id", type_=Text))
    )
    .order_by(orders.c.created_at.desc(), orders.c.id.desc())
    .limit(bindparam("size"))
)
_OWNER_COLUMN_BY_ROLE = {"customer": orders.c.customer_id, "deliverer": orders.c.deliverer_id}
_SELECT_PAGE_BY_ROLE = {
    "admin": _SELECT_PAGE,
    **{
        role: _SELECT_PAGE.where(column == bindparam("user_id", type_=Text))
        for role, column in _OWNER_COLUMN_BY_ROLE.items()
    },
}
_SELECT_ORDERS = {role: Statement(page) for role, page in _SELECT_PAGE_BY_ROLE.items()}
_SELECT_ORDERS_BY_STATUS = {
    role: Statement(page.where(orders.c.status == bindparam("status"))) for role, page in _SELECT_PAGE_BY_ROLE.items()
}
_SELECT_AVAILABLE_DELIVERIES = Statement(
    select(*ORDER_COLUMNS, orders.c.ready_at)
    .where(
        orders.c.status == "ready",
        tuple_(orders.c.ready_at, orders.c.id)
        > tuple_(bindparam("after_at", type_=TIME), bindparam("after_id", type_=Text)),
    )
    .order_by(orders.c.ready_at, orders.c.id)
    .limit(bindparam("size"))
)
_SELECT_BANK = Statement(select(banks).where(banks.c.id == bindparam("id")), row_type=Bank)
_SELECT_BANK_FOR_UPDATE = Statement(select(banks).where(banks.c.id == bindparam("id")).with_for_update(), row_type=Bank)
_INSERT_BANK = Statement(postgresql.insert(banks).values(bind_all_columns(banks)).on_conflict_do_nothing())
_UPSERT_BANK = build_upsert(banks)
_SELECT_ACTIVE_BANKS = Statement(
    select(banks).where(banks.c.active, banks.c.id > bindparam("after")).order_by(banks.c.id).limit(bindparam("size")),
    row_type=Bank,
)
_INSERT_ANONYMISED_CUSTOMER = Statement(
    postgresql.insert(anonymised_customers).values(customer_id=bindparam("customer_id")).on_conflict_do_nothing()
)
_ANONYMISE_ORDERS = Statement(
    update(orders)
    .where(
        orders.c.customer_id == bindparam("customer_id"),
        or_(*(orders.c.status == str(status) for status in sorted(FINAL_STATUSES))),
        exists().where(anonymised_customers.c.customer_id == orders.c.customer_id),
    )
    .values(customer_name=null(), customer_phone=null(), delivery_address="")
)

_FIRST_KEY = (datetime.min.replace(tzinfo=UTC), "")
_LAST_KEY = (datetime.max.replace(tzinfo=UTC), "")


class PostgresUnitOfWork(PostgresPaymentsUnitOfWork):
    """One transaction over orders, payments and banks."""

    def __init__(self, transaction: Transaction, outbox: Outbox[OrdersEvent]) -> None:
        super().__init__(transaction)
        self._outbox = outbox

    async def get_bank(self, bank_id: str) -> Bank | None:
        """Return the bank, active or not."""
        return await self._transaction.fetch_one(_SELECT_BANK, id=bank_id)

    async def get_bank_for_update(self, bank_id: str) -> Bank | None:
        """Return the bank, locked until the transaction ends."""
        return await self._transaction.fetch_one(_SELECT_BANK_FOR_UPDATE, id=bank_id)

    async def add_bank(self, bank: Bank) -> bool:
        """Insert a bank; return False if its id exists."""
        return await self._transaction.execute(_INSERT_BANK, **asdict(bank)) == 1

    async def save_bank(self, bank: Bank) -> None:
        """Insert or overwrite a bank."""
        await self._transaction.execute(_UPSERT_BANK, **asdict(bank))

    async def get_order_for_update(self, order_id: str) -> Order | None:
        """Return the order, locked until the transaction ends."""
        row = await self._transaction.fetch_one(_SELECT_ORDER_FOR_UPDATE, id=order_id)
        return None if row is None else order_from_row(row)

    async def find_order_by_check(self, check_id: str) -> Order | None:
        """Return the order that was created from a check."""
        row = await self._transaction.fetch_one(_SELECT_ORDER_BY_CHECK, check_id=check_id)
        return None if row is None else order_from_row(row)

    async def add_order(self, order: Order, check_id: str, actor: str) -> bool:
        """Insert an order and its first transition; return False if the check already has an order."""
        if not await self._transaction.execute(_INSERT_ORDER, check_id=check_id, actor=actor, **_order_to_row(order)):
            return False
        self._transaction.add_after_commit_hook(lambda: metrics.record_transition(None, order))
        return True

    async def _insert_transition(self, order: Order, actor: str, note: str | None) -> None:
        await self._transaction.execute(
            _INSERT_TRANSITION,
            order_id=order.id,
            version=order.version,
            status=order.status,
            at=order.updated_at,
            actor=actor,
            note=note,
        )

    async def get_unpaid_orders_for_update(self, before: datetime, size: int) -> list[Order]:
        """Lock and return pending orders created before that time; orders locked by others are skipped."""
        return [
            order_from_row(row)
            for row in await self._transaction.fetch_all(_SELECT_UNPAID_ORDERS_FOR_UPDATE, before=before, size=size)
        ]

    async def update_order(self, before: Order, after: Order, actor: str, note: str | None = None) -> None:
        """Compare-and-set on status and version; adds a transition.

        Raises ApiError: ORDER_STATE_CONFLICT after a concurrent update.
        """
        values = _order_to_row(after)
        updated = await self._transaction.execute(
            _UPDATE_ORDER,
            order_id=before.id,
            old_version=before.version,
            old_status=before.status,
            **{f"new_{name}": values[name] for name in _MUTABLE_FIELDS},
        )
        if not updated:
            raise ApiError(Reason.ORDER_STATE_CONFLICT)
        await self._insert_transition(after, actor, note)
        self._transaction.add_after_commit_hook(lambda: metrics.record_transition(before, after))
        if after.status in FINAL_STATUSES:
            await self._transaction.execute(_ANONYMISE_ORDERS, customer_id=after.customer_id)

    async def mark_event_processed(self, queue: str, event_id: str) -> bool:
        """Mark an event as processed; return False if it already was."""
        return await inbox.mark_processed(self._transaction, queue, event_id)

    async def publish(self, event: OrdersEvent) -> None:
        """Add an event to the outbox; it is published after the transaction has committed."""
        await self._outbox.add(self._transaction, event, derive_event_id(event))


class PostgresRepository(PostgresRefundQueue):
    """Repository of orders, banks and refunds."""

    def __init__(self, database: Database, outbox: Outbox[OrdersEvent]) -> None:
        super().__init__(database)
        self._outbox = outbox
        self._coalesced_transitions = RequestCoalescer(self._fetch_transitions)

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[PostgresUnitOfWork]:
        """Open a transaction that commits at the end of the block and rolls back on an exception."""
        async with self._database.transaction() as transaction:
            yield PostgresUnitOfWork(transaction, self._outbox)

    @asynccontextmanager
    async def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AsyncIterator[tuple[PostgresUnitOfWork, IdempotentResponse]]:
        """Open a transaction with the response of an earlier request with the key, or an empty one, to be set."""
        async with idempotency.begin_idempotent_transaction(self._database, key) as (transaction, response):
            yield PostgresUnitOfWork(transaction, self._outbox), response

    async def list_transitions(self, order_id: str, after: int) -> list[HistoryEntry]:
        """Return all transitions of an order above a version, oldest first. Concurrent equal queries are coalesced."""
        return await self._coalesced_transitions.get((order_id, after))

    async def _fetch_transitions(self, key: tuple[str, int]) -> list[HistoryEntry]:
        order_id, after = key
        rows = await self._database.fetch_all(_SELECT_TRANSITIONS, order_id=order_id, after=after)
        return [HistoryEntry(**(row | {"status": OrderStatus(row["status"])})) for row in rows]

    async def get_order(self, order_id: str) -> Order | None:
        """Return the order."""
        row = await self._database.fetch_one(_SELECT_ORDER, id=order_id)
        return None if row is None else order_from_row(row)

    async def list_orders(
        self, size: int, before: tuple[datetime, str] | None, principal: Principal, status: OrderStatus | None
    ) -> list[Order]:
        """Return orders, newest first: a customer's own, a deliverer's assigned, or all for an admin."""
        at, order_id = before or _LAST_KEY
        statements = _SELECT_ORDERS if status is None else _SELECT_ORDERS_BY_STATUS
        statement = statements.get(principal.role or "")
        if statement is None:
            return []
        rows = await self._database.fetch_all(
            statement, size=size, before_at=at, before_id=order_id, user_id=principal.user_id, status=status
        )
        return [order_from_row(row) for row in rows]

    async def record_partner_notified(self, order_id: str, partner_id: int, at: datetime) -> None:
        """Store when the order's partner acknowledged it; the earliest time is retained."""
        await self._database.execute(
            _SET_PARTNER_NOTIFIED_AT, order_id=order_id, partner_id=str(partner_id), notified_at=at
        )

    async def list_available_deliveries(
        self, size: int, after: tuple[datetime, str] | None
    ) -> list[tuple[datetime, Order]]:
        """Return ready orders with the time they became ready, longest ready first."""
        at, order_id = after or _FIRST_KEY
        rows = await self._database.fetch_all(_SELECT_AVAILABLE_DELIVERIES, size=size, after_at=at, after_id=order_id)
        return [(row["ready_at"], order_from_row(row)) for row in rows]

    async def get_bank(self, bank_id: str) -> Bank | None:
        """Return the bank, active or not."""
        return await self._database.fetch_one(_SELECT_BANK, id=bank_id)

    async def list_banks(self, size: int, after: str) -> list[Bank]:
        """Return active banks above an id, ordered by id."""
        return await self._database.fetch_all(_SELECT_ACTIVE_BANKS, size=size, after=after)

    async def anonymise_customer(self, customer_id: str) -> None:
        """Remove the customer's personal data from final orders now, and from other orders once they become final."""
        async with self._database.transaction() as transaction:
            await transaction.execute(_INSERT_ANONYMISED_CUSTOMER, customer_id=customer_id)
            await transaction.execute(_ANONYMISE_ORDERS, customer_id=customer_id)
