"""Orders in PostgreSQL."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, override

from psycopg.types.json import Jsonb
from sqlalchemy import Text, Update, bindparam, case, exists, func, insert, null, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql

from generated.problems import Reason
from services.orders.adapters import metrics
from services.orders.adapters.postgres.tables import anonymised_customers, order_transitions, orders
from services.orders.domain.addresses import Address, Coordinates
from services.orders.domain.orders import FINAL_STATUSES, HistoryEntry, Item, Order, OrderStatus, Partner, RefundStatus
from services.orders.usecases.ports import OrderReader, OrderRepository
from services.runtime.concurrency.coalescing import RequestCoalescer
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.core.repository import TimeKey
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement
from services.runtime.storage.transactions.transaction import Transaction

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
_new_status, _new_updated_at = bindparam("new_status", type_=Text), bindparam("new_updated_at", type_=TIMESTAMPTZ)


def order_from_row(row: dict[str, Any]) -> Order:
    """Convert a row to an order."""
    values = {name: row[name] for name in _ORDER_FIELDS}
    values["status"] = OrderStatus(values["status"])
    values["refund_status"] = RefundStatus(values["refund_status"])
    values["partner"] = Partner(**values["partner"])
    values["items"] = tuple(Item(**item) for item in values["items"])
    values["address"] = values["address"] and _address_from_json(values["address"])
    return Order(**values)


def _address_from_json(address: dict[str, Any]) -> Address:
    coordinates = address["coordinates"] and Coordinates(**address["coordinates"])
    return Address(**(address | {"coordinates": coordinates}))


def _order_to_row(order: Order) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(order, name) for name in _ORDER_FIELDS}
    values["partner"], values["items"] = Jsonb(order.partner), Jsonb(order.items)
    values["address"] = order.address and Jsonb(order.address)
    return values


_SELECT_ORDER = Statement(select(*ORDER_COLUMNS).where(orders.c.id == bindparam("id")))
_SELECT_ORDER_FOR_UPDATE = Statement(select(*ORDER_COLUMNS).where(orders.c.id == bindparam("id")).with_for_update())
_SELECT_ORDER_BY_CHECK = Statement(select(*ORDER_COLUMNS).where(orders.c.check_id == bindparam("check_id")))
_inserted_order = (
    postgresql.insert(orders)
    .values({name: bindparam(name) for name in (*_ORDER_FIELDS, "check_id")})
    .on_conflict_do_nothing()
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
_updated_order = (
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
    .returning(orders.c.id, orders.c.version, orders.c.status, orders.c.updated_at)
)


def _build_transition(update_of_order: Update) -> Statement:
    updated = update_of_order.cte("updated")
    values = (updated.c.id, updated.c.version, updated.c.status, updated.c.updated_at)
    note = (bindparam("actor", type_=Text), bindparam("note", type_=Text))
    columns = ["order_id", "version", "status", "at", "actor", "note"]
    return Statement(insert(order_transitions).from_select(columns, select(*values, *note)))


_ANONYMISED_VALUES = {
    "customer_name": null(),
    "customer_phone": null(),
    "delivery_address": "",
    "address": null(),
    "note": null(),
}
_customer = select(
    exists().where(anonymised_customers.c.customer_id == bindparam("customer_id")).label("is_anonymised")
).subquery("customer")
_UPDATE_ORDER = _build_transition(_updated_order)
_UPDATE_FINAL_ORDER = _build_transition(
    _updated_order.values(
        {
            name: case((_customer.c.is_anonymised, value), else_=orders.c[name])
            for name, value in _ANONYMISED_VALUES.items()
        }
    )
)
"""Also removes the personal data of a deleted customer."""
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
        < tuple_(bindparam("before_at", type_=TIMESTAMPTZ), bindparam("before_id", type_=Text))
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
        > tuple_(bindparam("after_at", type_=TIMESTAMPTZ), bindparam("after_id", type_=Text)),
    )
    .order_by(orders.c.ready_at, orders.c.id)
    .limit(bindparam("size"))
)
_INSERT_ANONYMISED_CUSTOMER = Statement(
    postgresql.insert(anonymised_customers).values(customer_id=bindparam("customer_id")).on_conflict_do_nothing()
)
_LOCK_ORDERS_OF_CUSTOMER = Statement(
    select(orders.c.id)
    .where(orders.c.customer_id == bindparam("customer_id"))
    .order_by(orders.c.id)
    .with_for_update(key_share=True)
)
_ANONYMISE_ORDERS = Statement(
    update(orders)
    .where(
        orders.c.customer_id == bindparam("customer_id"),
        or_(*(orders.c.status == str(status) for status in sorted(FINAL_STATUSES))),
    )
    .values(_ANONYMISED_VALUES)
)

_FIRST_KEY = (datetime.min.replace(tzinfo=UTC), "")
_LAST_KEY = (datetime.max.replace(tzinfo=UTC), "")


class PostgresOrderReader(OrderReader):
    """Read access to orders in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._coalesced_transitions = RequestCoalescer(self._fetch_transitions)

    @override
    async def get(self, key: str) -> Order | None:
        row = await self._database.fetch_one(_SELECT_ORDER, id=key)
        return None if row is None else order_from_row(row)

    @override
    async def list_transitions(self, order_id: str, after: int) -> list[HistoryEntry]:
        """Return all transitions of an order above a version, oldest first. Concurrent equal queries are coalesced."""
        return await self._coalesced_transitions.get((order_id, after))

    async def _fetch_transitions(self, key: tuple[str, int]) -> list[HistoryEntry]:
        order_id, after = key
        rows = await self._database.fetch_all(_SELECT_TRANSITIONS, order_id=order_id, after=after)
        return [HistoryEntry(**(row | {"status": OrderStatus(row["status"])})) for row in rows]

    @override
    async def list_visible(
        self, principal: Principal, before: TimeKey | None, size: int, status: OrderStatus | None
    ) -> list[Order]:
        at, order_id = before or _LAST_KEY
        statements = _SELECT_ORDERS if status is None else _SELECT_ORDERS_BY_STATUS
        statement = statements.get(principal.role or "")
        if statement is None:
            return []
        rows = await self._database.fetch_all(
            statement, size=size, before_at=at, before_id=order_id, user_id=principal.user_id, status=status
        )
        return [order_from_row(row) for row in rows]

    @override
    async def list_available_deliveries(self, after: TimeKey | None, size: int) -> list[tuple[datetime, Order]]:
        at, order_id = after or _FIRST_KEY
        rows = await self._database.fetch_all(_SELECT_AVAILABLE_DELIVERIES, size=size, after_at=at, after_id=order_id)
        return [(row["ready_at"], order_from_row(row)) for row in rows]


class PostgresOrderRepository(OrderRepository):
    """Orders of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def get_for_update(self, order_id: str) -> Order | None:
        statement = _SELECT_ORDER if self._transaction.is_optimistic else _SELECT_ORDER_FOR_UPDATE
        row = await self._transaction.fetch_one(statement, id=order_id)
        return None if row is None else order_from_row(row)

    @override
    async def find_by_check(self, check_id: str) -> Order | None:
        row = await self._transaction.fetch_one(_SELECT_ORDER_BY_CHECK, check_id=check_id)
        return None if row is None else order_from_row(row)

    @override
    async def add(self, order: Order, check_id: str, actor: str) -> bool:
        values = {"check_id": check_id, "actor": actor, **_order_to_row(order)}
        if self._transaction.is_optimistic:
            self._transaction.defer(_INSERT_ORDER, ApiError(Reason.ORDER_STATE_CONFLICT), **values)
        elif not await self._transaction.execute(_INSERT_ORDER, **values):
            return False
        self._transaction.add_after_commit_hook(lambda: metrics.record_transition(None, order))
        return True

    @override
    async def update(self, before: Order, after: Order, actor: str, note: str | None = None) -> None:
        is_final = after.status in FINAL_STATUSES
        self._transaction.defer(
            _UPDATE_FINAL_ORDER if is_final else _UPDATE_ORDER,
            ApiError(Reason.ORDER_STATE_CONFLICT),
            order_id=before.id,
            old_version=before.version,
            old_status=before.status,
            actor=actor,
            note=note,
            **({"customer_id": before.customer_id} if is_final else {}),
            **{f"new_{name}": getattr(after, name) for name in _MUTABLE_FIELDS},
        )
        self._transaction.add_after_commit_hook(lambda: metrics.record_transition(before, after))

    @override
    async def list_unpaid_for_update(self, before: datetime, size: int) -> list[Order]:
        return [
            order_from_row(row)
            for row in await self._transaction.fetch_all(_SELECT_UNPAID_ORDERS_FOR_UPDATE, before=before, size=size)
        ]

    @override
    async def anonymise_customer(self, customer_id: str) -> None:
        await self._transaction.execute(_INSERT_ANONYMISED_CUSTOMER, customer_id=customer_id)
        await self._transaction.fetch_all(_LOCK_ORDERS_OF_CUSTOMER, customer_id=customer_id)
        await self._transaction.execute(_ANONYMISE_ORDERS, customer_id=customer_id)
