"""Ready callbacks in PostgreSQL: registered and published by one statement, which most callbacks take."""

from datetime import datetime
from typing import override

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql

from generated.events import PartnersEvent
from generated.proto.delivery.events.v1 import OrderReadyReported
from services.partners.adapters.postgres.tables import calls, ready_callbacks
from services.partners.domain.call_policy import CallKind
from services.partners.domain.partners import ReadyReport
from services.partners.usecases.partner_calls import ReadyReportStore
from services.runtime.messaging.outbox import EVENT_COLUMNS, Outbox, build_publication
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement, build_batch_delete

_KEY = ("partner_id", "webhook_id", "fingerprint")
_planned_call = select(
    calls.c.partner_id, *(bindparam(name, type_=ready_callbacks.c[name].type) for name in _KEY[1:])
).where(
    calls.c.order_id == bindparam("order_id"),
    calls.c.partner_id == bindparam("partner_id"),
    calls.c.kind == str(CallKind.ORDER),
)
_registered = (
    postgresql.insert(ready_callbacks)
    .from_select(_KEY, _planned_call)
    .on_conflict_do_nothing()
    .returning(ready_callbacks.c.webhook_id)
    .cte("registered")
)
_event = (bindparam(column.name, type_=column.type).label(column.name) for column in EVENT_COLUMNS)
_published = build_publication(select(*_event).select_from(_registered).subquery())
_PUBLISH = Statement(select(_registered.c.webhook_id).add_cte(_published))
_SELECT = Statement(
    select(ready_callbacks.c.fingerprint).where(
        ready_callbacks.c.partner_id == bindparam("partner_id"), ready_callbacks.c.webhook_id == bindparam("webhook_id")
    )
)
_DELETE_OLD = build_batch_delete(ready_callbacks, ready_callbacks.c.at < bindparam("before"))


class PostgresReadyReportStore(ReadyReportStore):
    """Reports of partners that orders are ready, in PostgreSQL."""

    def __init__(self, database: Database, outbox: Outbox[PartnersEvent]) -> None:
        self._database = database
        self._outbox = outbox

    @override
    async def publish(self, report: ReadyReport, webhook_id: str, event: OrderReadyReported) -> bool:
        registered = await self._database.fetch_one(
            _PUBLISH,
            partner_id=report.partner_id,
            order_id=report.order_id,
            webhook_id=webhook_id,
            fingerprint=report.compute_fingerprint(),
            **self._outbox.to_row(event),
        )
        return registered is not None

    @override
    async def get_fingerprint(self, partner_id: int, webhook_id: str) -> bytes | None:
        row = await self._database.fetch_one(_SELECT, partner_id=partner_id, webhook_id=webhook_id)
        return None if row is None else row["fingerprint"]


async def delete_older_than(database: Database, cutoff: datetime) -> int:
    """Delete a batch of callbacks older than the cutoff. Return their number, 0 if none are left."""
    return await database.execute(_DELETE_OLD, before=cutoff)
