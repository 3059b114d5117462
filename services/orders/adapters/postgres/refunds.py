"""Refunds in PostgreSQL, and the queue of due refunds."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, override

from psycopg.types.json import Jsonb
from sqlalchemy import Text, bindparam, func, select, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY

from services.orders.adapters import metrics
from services.orders.adapters.postgres.tables import refund_actions, refunds
from services.orders.domain.orders import RefundStatus
from services.orders.domain.payments import Refund
from services.orders.domain.refund_actions import RefundAction, RefundActionKind, RefundFilter
from services.orders.usecases.ports import RefundReader, RefundRepository
from services.orders.usecases.refunds import RefundQueue
from services.runtime.core.repository import TimeKey
from services.runtime.storage.database import Database
from services.runtime.storage.job_queue import JobQueue, JobTable, Row
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement
from services.runtime.storage.transactions.transaction import Transaction
from services.runtime.telemetry import tracing

MAX_ACTIONS = 50
"""Actions of a refund that are returned, the latest ones."""

REFUND_COLUMNS = [refunds.c[field.name] for field in fields(Refund)]
_INSERT_REFUND = Statement(
    postgresql.insert(refunds)
    .values({column.name: bindparam(column.name) for column in REFUND_COLUMNS})
    .on_conflict_do_nothing()
)
_COMPLETE_REFUND = Statement(
    update(refunds)
    .where(refunds.c.id == bindparam("refund_id"), refunds.c.status == "requested")
    .values(status=bindparam("new_status"), last_response=bindparam("response"))
)
_SELECT_REFUNDS = Statement(
    select(*REFUND_COLUMNS)
    .where(refunds.c.order_id == bindparam("order_id"), refunds.c.bank_id == bindparam("bank_id"))
    .order_by(refunds.c.created_at, refunds.c.id)
)
_select_refund = select(*REFUND_COLUMNS).where(refunds.c.id == bindparam("refund_id"))
_SELECT_REFUND = Statement(_select_refund)
_SELECT_REFUND_FOR_UPDATE = Statement(_select_refund.with_for_update())
_UPDATE_REFUND = Statement(
    update(refunds)
    .where(refunds.c.id == bindparam("refund_id"))
    .values(status=bindparam("new_status"), attempts=bindparam("new_attempts"), next_at=bindparam("new_next_at"))
)
_filters = {name: bindparam(name, type_=Text) for name in RefundFilter._fields}
_SELECT_REFUNDS_BEFORE = Statement(
    select(*REFUND_COLUMNS)
    .where(
        tuple_(refunds.c.created_at, refunds.c.id)
        < tuple_(bindparam("before_at", type_=TIMESTAMPTZ), bindparam("before_id", type_=Text)),
        *(value.is_(None) | (refunds.c[name] == value) for name, value in _filters.items()),
    )
    .order_by(refunds.c.created_at.desc(), refunds.c.id.desc())
    .limit(bindparam("size")),
    is_replanned=True,
)
_ACTION_COLUMNS = [refund_actions.c[field.name] for field in fields(RefundAction)]
_INSERT_ACTION = Statement(
    postgresql.insert(refund_actions).values({column.name: bindparam(column.name) for column in _ACTION_COLUMNS})
)
_age = func.row_number().over(partition_by=refund_actions.c.refund_id, order_by=refund_actions.c.id.desc())
_recent_actions = (
    select(refund_actions, _age.label("age"))
    .where(refund_actions.c.refund_id == bindparam("ids", type_=ARRAY(Text)).any_())
    .subquery()
)
_SELECT_ACTIONS = Statement(
    select(*(_recent_actions.c[column.name] for column in _ACTION_COLUMNS))
    .where(_recent_actions.c.age <= MAX_ACTIONS)
    .order_by(_recent_actions.c.id)
)
_JOBS = JobTable(refunds, lease_end=refunds.c.next_at, attempts=refunds.c.attempts)
_CLAIM = _JOBS.build_claim(
    select(refunds.c.id)
    .where(refunds.c.status == "requested", refunds.c.next_at <= bindparam("now"))
    .order_by(refunds.c.next_at),
    returning=REFUND_COLUMNS,
)
_RESCHEDULE = _JOBS.build_leased_update(
    {"next_at": bindparam("not_before"), "last_response": bindparam("response")}, refunds.c.status == "requested"
)
_FAIL = _JOBS.build_leased_update(
    {"status": str(RefundStatus.FAILED), "last_response": "not decodable"}, refunds.c.status == "requested"
)


def refund_from_row(row: dict[str, Any]) -> Refund:
    """Convert a row to a refund."""
    return Refund(**(row | {"status": RefundStatus(row["status"]), "trace": row["trace"] or {}}))


class PostgresRefundRepository(RefundRepository):
    """Refunds of one transaction in PostgreSQL. After its commit, `on_due` is called if it has made a refund due."""

    def __init__(self, transaction: Transaction, on_due: Callable[[], None]) -> None:
        self._transaction = transaction
        self._on_due = on_due

    @override
    async def add(self, refund: Refund) -> None:
        row = asdict(refund) | {"trace": Jsonb(tracing.get_context_headers()), "next_at": refund.created_at}
        self._transaction.defer(_INSERT_REFUND, **row)
        self._transaction.add_after_commit_hook(self._on_due)

    @override
    async def complete(self, refund: Refund, response: str) -> bool:
        if not await self._transaction.execute(
            _COMPLETE_REFUND, refund_id=refund.id, new_status=refund.status, response=response
        ):
            return False
        if refund.status is RefundStatus.REFUNDED:
            self._transaction.add_after_commit_hook(lambda: metrics.record_refund(refund))
        return True

    @override
    async def list_by_order(self, order_id: str, bank_id: str) -> list[Refund]:
        return [
            refund_from_row(row)
            for row in await self._transaction.fetch_all(_SELECT_REFUNDS, order_id=order_id, bank_id=bank_id)
        ]

    @override
    async def get_for_update(self, key: str) -> Refund | None:
        row = await self._transaction.fetch_one(_SELECT_REFUND_FOR_UPDATE, refund_id=key)
        return None if row is None else refund_from_row(row)

    @override
    async def save(self, refund: Refund) -> None:
        self._transaction.defer(
            _UPDATE_REFUND,
            refund_id=refund.id,
            new_status=refund.status,
            new_attempts=refund.attempts,
            new_next_at=refund.next_at,
        )
        self._transaction.add_after_commit_hook(self._on_due)

    @override
    async def add_action(self, action: RefundAction) -> None:
        self._transaction.defer(_INSERT_ACTION, **asdict(action))


class PostgresRefundReader(RefundReader):
    """Read access to refunds in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def get(self, key: str) -> Refund | None:
        row = await self._database.fetch_one(_SELECT_REFUND, refund_id=key)
        return None if row is None else refund_from_row(row)

    @override
    async def list_before(self, before: TimeKey | None, size: int, entity_filter: RefundFilter) -> list[Refund]:
        before_at, before_id = before or (datetime.max.replace(tzinfo=UTC), "")
        rows = await self._database.fetch_all(
            _SELECT_REFUNDS_BEFORE, size=size, before_at=before_at, before_id=before_id, **entity_filter._asdict()
        )
        return [refund_from_row(row) for row in rows]

    @override
    async def list_actions(self, refund_ids: Sequence[str]) -> list[RefundAction]:
        rows = await self._database.fetch_all(_SELECT_ACTIONS, ids=list(refund_ids))
        return [RefundAction(**(row | {"kind": RefundActionKind(row["kind"])})) for row in rows]


class PostgresRefundQueue(RefundQueue):
    """Queue of due refunds in PostgreSQL. A refund that cannot be decoded fails after `max_attempts` attempts."""

    def __init__(self, database: Database, max_attempts: int) -> None:
        self._database = database
        self._jobs = JobQueue(
            "refund",
            database,
            _CLAIM,
            refund_from_row,
            is_exhausted=lambda row, _: row["attempts"] >= max_attempts,
            fail=self.fail_undecodable,
        )

    @override
    async def claim_due(self, size: int, now: datetime, lease_until: datetime) -> list[Refund]:
        return await self._jobs.claim(size, now, lease_until)

    async def fail_undecodable(self, row: Row) -> None:
        """Store the failure of a leased refund, given its id and attempts, unless the lease is lost."""
        await self._database.execute(_FAIL, job_id=row["id"], lease_token=row["attempts"])

    @override
    async def reschedule(self, refund: Refund, not_before: datetime, response: str) -> None:
        await self._database.execute(
            _RESCHEDULE, job_id=refund.id, lease_token=refund.attempts, not_before=not_before, response=response
        )
