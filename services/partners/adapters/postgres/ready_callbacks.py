"""Processed ready callbacks in PostgreSQL."""

from datetime import datetime
from typing import override

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql

from services.partners.adapters.postgres.tables import ready_callbacks
from services.partners.domain.partners import ReadyReport
from services.partners.usecases.partner_calls import ReadyCallbackRepository
from services.runtime.storage.database import Database, Statement, Transaction, build_batch_delete

_INSERT = Statement(
    postgresql.insert(ready_callbacks)
    .values({name: bindparam(name) for name in ("partner_id", "webhook_id", "fingerprint")})
    .on_conflict_do_nothing()
)
_SELECT = Statement(
    select(ready_callbacks.c.fingerprint).where(
        ready_callbacks.c.partner_id == bindparam("partner_id"), ready_callbacks.c.webhook_id == bindparam("webhook_id")
    )
)
_DELETE_OLD = build_batch_delete(ready_callbacks, ready_callbacks.c.at < bindparam("before"))


class PostgresReadyCallbackRepository(ReadyCallbackRepository):
    """Processed ready callbacks of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def register(self, report: ReadyReport, webhook_id: str) -> bytes | None:
        key = {"partner_id": report.partner_id, "webhook_id": webhook_id}
        if await self._transaction.execute(_INSERT, **key, fingerprint=report.compute_fingerprint()):
            return None
        row = await self._transaction.fetch_one(_SELECT, **key)
        return None if row is None else row["fingerprint"]


async def delete_older_than(database: Database, cutoff: datetime) -> int:
    """Delete a batch of callbacks older than the cutoff. Return their number, 0 if none are left."""
    return await database.execute(_DELETE_OLD, before=cutoff)
