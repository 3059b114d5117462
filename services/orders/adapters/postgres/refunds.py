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
_CLAIM_DUE_REFUNDS = Statement(
    update(refunds)
    .where(
        refunds.c.id.in_(
            select(refunds.c.id)
            .where(refunds.c.status == "requested", refunds.c.next_at <= bindparam("now"))
            .order_by(refunds.c.next_at)
            .limit(bindparam("size"))
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
    )
    .values(attempts=refunds.c.attempts + 1, next_at=bindparam("lease_until"))
    .returning(*REFUND_COLUMNS)
)
_RESCHEDULE_REFUND = Statement(
    update(refunds)
    .where(
        refunds.c.id == bindparam("refund_id"),
        refunds.c.status == "requested",
        refunds.c.attempts == bindparam("attempt"),
    )
    .values(next_at=bindparam("not_before"), last_response=bindparam("response"))
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
    """Queue of due refunds, with leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def claim_due(self, now: datetime, lease_until: datetime, size: int) -> list[Refund]:
        rows = await self._database.fetch_all(_CLAIM_DUE_REFUNDS, now=now, lease_until=lease_until, size=size)
        return [refund_from_row(row) for row in rows]

    @override
    async def reschedule(self, refund: Refund, not_before: datetime, response: str) -> None:
        await self._database.execute(
            _RESCHEDULE_REFUND,
            refund_id=refund.id,
            attempt=refund.attempts,
            not_before=not_before,
            response=response,
        )
