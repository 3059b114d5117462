"""Calls to partner systems in PostgreSQL, and the queue of due calls."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, override

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Column, ScalarSelect, Text, bindparam, exists, func, null, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from services.partners.adapters.postgres.locks import PartnersLock
from services.partners.adapters.postgres.tables import calls, cancelled_orders
from services.partners.domain.call_policy import Attempt, Call, CallFilter, CallKind, CallState
from services.partners.usecases.partner_calls import CallRepository, DueCallsQueue, SourceKey
from services.runtime.core.repository import TimeKey, TimeSortedEntityReader
from services.runtime.messaging import inbox
from services.runtime.storage import advisory_lock
from services.runtime.storage.database import Database
from services.runtime.storage.job_queue import JobQueue, JobTable
from services.runtime.storage.statements.row_parameters import build_rows, collect_columns
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement, build_batch_delete
from services.runtime.storage.transactions.transaction import Transaction

CALL_COLUMNS = [calls.c[field.name] for field in fields(Call)]
_STORED_COLUMNS = [*(field.name for field in fields(Call)), "response"]

_IS_CANCELLED = Statement(
    select(cancelled_orders.c.order_id).where(cancelled_orders.c.order_id == bindparam("order_id"))
)
_MARK_CANCELLED = Statement(
    insert(cancelled_orders).values(order_id=bindparam("order_id"), at=bindparam("at")).on_conflict_do_nothing()
)
_ADD_CALL = Statement(
    insert(calls)
    .values({name: bindparam(name) for name in _STORED_COLUMNS})
    .on_conflict_do_nothing(index_elements=["order_id", "kind"])
)
_events = build_rows("events", [Column("queue", Text), Column("event_id", Text), Column("lock_name", Text)])
_new_events = inbox.build_new_events(_events)
_unlocked_events = (
    select(_new_events.c.queue, _new_events.c.event_id, _events.c.lock_name)
    .join(_events, (_events.c.queue == _new_events.c.queue) & (_events.c.event_id == _new_events.c.event_id))
    .order_by(_events.c.lock_name)
    .subquery()
)
_LOCK_ORDERS_OF_NEW_EVENTS = Statement(
    select(
        _unlocked_events.c.queue,
        _unlocked_events.c.event_id,
        advisory_lock.build_acquisition(_unlocked_events.c.lock_name),
    )
)
_new_calls = build_rows("new_calls", [calls.c[name] for name in _STORED_COLUMNS])
_ADD_CALLS_UNLESS_CANCELLED = Statement(
    insert(calls)
    .from_select(
        _STORED_COLUMNS,
        select(_new_calls).where(~exists().where(cancelled_orders.c.order_id == _new_calls.c.order_id)),
    )
    .on_conflict_do_nothing(index_elements=["order_id", "kind"])
    .returning(calls.c.id)
)
_SAVE_CALL = Statement(
    update(calls)
    .where(calls.c.id == bindparam("call_id"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("state", "attempts", "tries", "response", "next_at", "leased_until")
        }
    )
)
_CALL_FOR_UPDATE = Statement(select(*CALL_COLUMNS).where(calls.c.id == bindparam("id")).with_for_update())
_ORDER_CALL_FOR_UPDATE = Statement(
    select(*CALL_COLUMNS)
    .where(calls.c.order_id == bindparam("order_id"), calls.c.kind == str(CallKind.ORDER))
    .with_for_update()
)
_MAKE_CALLS_DUE = Statement(
    update(calls)
    .where(
        calls.c.partner_id == bindparam("partner"),
        calls.c.state == str(CallState.WAITING),
        calls.c.leased_until.is_(None),
    )
    .values(next_at=bindparam("now"))
)
_partner_filter = bindparam("partner", type_=BigInteger)
_order_filter, _state_filter = bindparam("order", type_=Text), bindparam("state", type_=Text)
_CALLS = Statement(
    select(*CALL_COLUMNS)
    .where(
        tuple_(calls.c.created_at, calls.c.id)
        < tuple_(bindparam("before_at", type_=TIMESTAMPTZ), bindparam("before_id", type_=Text)),
        _partner_filter.is_(None) | (calls.c.partner_id == _partner_filter),
        _order_filter.is_(None) | (calls.c.order_id == _order_filter),
        _state_filter.is_(None) | (calls.c.state == _state_filter),
    )
    .order_by(calls.c.created_at.desc(), calls.c.id.desc())
    .limit(bindparam("size"))
)
_CALL = Statement(select(*CALL_COLUMNS).where(calls.c.id == bindparam("id")))
_now = bindparam("now", type_=calls.c.next_at.type)
_earlier = calls.alias("earlier")
_is_due = (
    calls.c.state == str(CallState.WAITING),
    calls.c.next_at <= _now,
    calls.c.leased_until.is_(None) | (calls.c.leased_until <= _now),
)


def _count_in_progress() -> ScalarSelect[int]:
    """Return the number of leased calls to the same partner, as a subquery."""
    other = calls.alias("other")
    return (
        select(func.count())
        .where(other.c.partner_id == calls.c.partner_id, other.c.leased_until > _now)
        .scalar_subquery()
    )


# Due calls ranked per partner: a partner that is slow uses up its own share of leases and no more.
_ranked = (
    select(
        calls.c.id,
        func.row_number().over(partition_by=calls.c.partner_id, order_by=(calls.c.next_at, calls.c.id)).label("rank"),
        _count_in_progress().label("in_progress"),
    )
    .where(
        *_is_due,
        ~exists().where(
            _earlier.c.order_id == calls.c.order_id, _earlier.c.id != calls.c.id, _earlier.c.leased_until > _now
        ),
    )
    .subquery("ranked")
)
_JOBS = JobTable(calls, lease_end=calls.c.leased_until, attempts=calls.c.attempts)
_CLAIM_DUE_CALLS = _JOBS.build_claim(
    select(calls.c.id)
    .join(_ranked, _ranked.c.id == calls.c.id)
    .where(*_is_due, _ranked.c.rank + _ranked.c.in_progress <= bindparam("max_per_partner"))
    .order_by(calls.c.next_at),
    returning=CALL_COLUMNS,
)
_FAIL = _JOBS.build_leased_update(
    {"state": str(CallState.FAILED), "response": "not decodable", "leased_until": null()},
    calls.c.state == str(CallState.WAITING),
)
_DELETE_OLD_CALLS = build_batch_delete(
    calls, calls.c.state != str(CallState.WAITING), calls.c.created_at < bindparam("before")
)
_DELETE_OLD_CANCELLED_ORDERS = build_batch_delete(cancelled_orders, cancelled_orders.c.at < bindparam("before"))


def call_from_row(row: dict[str, Any]) -> Call:
    """Return the call of a row."""
    tries = msgspec.convert(row["tries"], tuple[Attempt, ...])
    return Call(**(row | {"kind": CallKind(row["kind"]), "state": CallState(row["state"]), "tries": tries}))


def _call_to_row(call: Call) -> dict[str, Any]:
    values: dict[str, Any] = {field.name: getattr(call, field.name) for field in fields(Call)}
    return values | {
        "payload": Jsonb(call.payload),
        "trace": Jsonb(call.trace),
        "tries": Jsonb(msgspec.to_builtins(call.tries)),
        "response": call.tries[-1].answer if call.tries else None,
    }


class PostgresCallReader(TimeSortedEntityReader[Call, CallFilter]):
    """Read access to calls in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def get(self, key: str) -> Call | None:
        row = await self._database.fetch_one(_CALL, id=key)
        return None if row is None else call_from_row(row)

    @override
    async def list_before(self, before: TimeKey | None, size: int, entity_filter: CallFilter) -> list[Call]:
        before_at, before_id = before or (datetime.max.replace(tzinfo=UTC), "")
        rows = await self._database.fetch_all(
            _CALLS,
            size=size,
            before_at=before_at,
            before_id=before_id,
            partner=entity_filter.partner_id,
            order=entity_filter.order_id,
            state=entity_filter.state,
        )
        return [call_from_row(row) for row in rows]


class PostgresCallRepository(CallRepository):
    """Calls of one transaction in PostgreSQL. After its commit, `on_due` is called if calls may have become due."""

    def __init__(self, transaction: Transaction, on_due: Callable[[], None]) -> None:
        self._transaction = transaction
        self._on_due = on_due

    @override
    async def get_for_update(self, key: str) -> Call | None:
        row = await self._transaction.fetch_one(_CALL_FOR_UPDATE, id=key)
        return None if row is None else call_from_row(row)

    @override
    async def get_order_call_for_update(self, order_id: str) -> Call | None:
        row = await self._transaction.fetch_one(_ORDER_CALL_FOR_UPDATE, order_id=order_id)
        return None if row is None else call_from_row(row)

    @override
    async def add(self, call: Call) -> None:
        self._transaction.defer(_ADD_CALL, **_call_to_row(call))

    @override
    async def add_for_new_events(self, calls: Mapping[SourceKey, Call]) -> set[SourceKey]:
        # In a common order, so that concurrent statements with the same events do not deadlock.
        rows = [
            {
                "queue": queue,
                "event_id": event_id,
                "lock_name": advisory_lock.build_name(PartnersLock.ORDER_CALLS, call.order_id),
            }
            for (queue, event_id), call in sorted(calls.items(), key=lambda item: item[0])
        ]
        new_events = await self._transaction.fetch_all(_LOCK_ORDERS_OF_NEW_EVENTS, **collect_columns(rows))
        new_calls = {event: calls[event] for event in ((row["queue"], row["event_id"]) for row in new_events)}
        if not new_calls:
            return set()
        # A later statement, which sees the orders that were cancelled before their locks were acquired.
        columns = collect_columns([_call_to_row(call) for call in new_calls.values()])
        added_ids = {row["id"] for row in await self._transaction.fetch_all(_ADD_CALLS_UNLESS_CANCELLED, **columns)}
        return {event for event, call in new_calls.items() if call.id in added_ids}

    @override
    async def save(self, entity: Call) -> None:
        values = {f"new_{name}": value for name, value in _call_to_row(entity).items()}
        self._transaction.defer(_SAVE_CALL, call_id=entity.id, **values)
        if entity.state is CallState.WAITING:
            self._transaction.add_after_commit_hook(self._on_due)

    @override
    async def make_due(self, partner_id: int, now: datetime) -> None:
        await self._transaction.execute(_MAKE_CALLS_DUE, partner=partner_id, now=now)
        self._transaction.add_after_commit_hook(self._on_due)

    @override
    async def lock_order(self, order_id: str) -> None:
        await advisory_lock.acquire(self._transaction, PartnersLock.ORDER_CALLS, order_id)

    @override
    async def is_cancelled(self, order_id: str) -> bool:
        return await self._transaction.fetch_one(_IS_CANCELLED, order_id=order_id) is not None

    @override
    async def mark_cancelled(self, order_id: str, at: datetime) -> None:
        self._transaction.defer(_MARK_CANCELLED, order_id=order_id, at=at)


class PostgresDueCallsQueue(DueCallsQueue):
    """Queue of due calls in PostgreSQL, and deletion of old calls.

    A call that cannot be decoded fails after `max_attempts` attempts.
    """

    def __init__(self, database: Database, max_attempts: int) -> None:
        self._database = database
        self._jobs = JobQueue(
            "partner_call",
            database,
            _CLAIM_DUE_CALLS,
            call_from_row,
            is_exhausted=lambda row, _: row["attempts"] >= max_attempts,
            fail=lambda row: database.execute(_FAIL, job_id=row["id"], lease_token=row["attempts"]),
        )

    @override
    async def claim_due_calls(
        self, size: int, max_per_partner: int, now: datetime, lease_until: datetime
    ) -> list[Call]:
        return await self._jobs.claim(size, now, lease_until, max_per_partner=max_per_partner)

    async def delete_old_calls(self, before: datetime) -> int:
        """Delete a batch of old finished calls and old marks of cancelled orders; return the number of deleted rows.

        Until it is deleted, a call prevents a second call of its kind for the order. `before` must therefore lie well
        behind the end of any order.
        """
        deleted_marks = await self._database.execute(_DELETE_OLD_CANCELLED_ORDERS, before=before)
        return deleted_marks + await self._database.execute(_DELETE_OLD_CALLS, before=before)
