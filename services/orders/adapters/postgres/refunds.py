"""Refunds in PostgreSQL, and the queue of due refunds."""

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, override

from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql

from services.orders.adapters import metrics
from services.orders.adapters.postgres.tables import refunds
from services.orders.domain.orders import RefundStatus
from services.orders.domain.payments import Refund
from services.orders.usecases.ports import RefundRepository
from services.orders.usecases.refunds import RefundQueue
from services.runtime.storage.database import Database, Statement, Transaction
from services.runtime.storage.job_queue import JobQueue, JobTable
from services.runtime.telemetry import tracing

REFUND_COLUMNS = [refunds.c[field.name] for field in fields(Refund)]
_INSERT_REFUND = Statement(
    postgresql.insert(refunds)
    .values({column.name: bindparam(column.name) for column in (*REFUND_COLUMNS, refunds.c.next_at)})
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


def refund_from_row(row: dict[str, Any]) -> Refund:
    """Convert a row to a refund."""
    return Refund(**(row | {"status": RefundStatus(row["status"]), "trace": row["trace"] or {}}))


class PostgresRefundRepository(RefundRepository):
    """Refunds of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def add(self, refund: Refund) -> None:
        row = asdict(refund) | {"trace": Jsonb(tracing.get_context_headers())}
        await self._transaction.execute(_INSERT_REFUND, **row, next_at=refund.created_at)

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


class PostgresRefundQueue(RefundQueue):
    """Queue of due refunds in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs = JobQueue(database, _CLAIM, refund_from_row)

    @override
    async def claim_due(self, size: int, now: datetime, lease_until: datetime) -> list[Refund]:
        return await self._jobs.claim(size, now, lease_until)

    @override
    async def reschedule(self, refund: Refund, not_before: datetime, response: str) -> None:
        await self._database.execute(
            _RESCHEDULE, job_id=refund.id, lease_token=refund.attempts, not_before=not_before, response=response
        )
