"""Results of accepted calls in PostgreSQL: stored by one statement, which most calls take."""

from collections.abc import Mapping, Sequence
from typing import Any, override

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import Column, Integer, Text, exists, func, null, select, update
from sqlalchemy.dialects.postgresql import JSONB

from generated.events import PartnersEvent
from generated.proto.delivery.events.v1 import PartnerNotified
from services.partners.adapters.postgres.tables import breakers, calls
from services.partners.domain.call_policy import MAX_STORED_ATTEMPTS, Attempt, Call, CallState
from services.partners.usecases.partner_calls import AcceptedCallStore
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.messaging.outbox import EVENT_COLUMNS, Outbox, build_publication
from services.runtime.storage.database import Database
from services.runtime.storage.statements.row_parameters import build_rows, collect_columns
from services.runtime.storage.statements.statement import Statement

_results = build_rows(
    "results",
    [
        Column("call_id", Text),
        Column("attempt_number", Integer),
        Column("attempt", JSONB),
        Column("answer", Text),
        *EVENT_COLUMNS,
    ],
)
_delivered = (
    update(calls)
    .where(
        calls.c.id == _results.c.call_id,
        calls.c.attempts == _results.c.attempt_number,
        calls.c.state == str(CallState.WAITING),
        func.jsonb_array_length(calls.c.tries) < MAX_STORED_ATTEMPTS,
        ~exists().where(breakers.c.partner_id == calls.c.partner_id),
    )
    .values(
        state=str(CallState.DELIVERED),
        tries=calls.c.tries.concat(_results.c.attempt),
        response=_results.c.answer,
        leased_until=null(),
    )
    .returning(calls.c.id)
    .cte("delivered")
)
_published = build_publication(select(_results).join(_delivered, _delivered.c.id == _results.c.call_id).subquery())
_RECORD = Statement(select(_delivered.c.id).add_cte(_published))


class PostgresAcceptedCallStore(AcceptedCallStore):
    """Results of accepted order calls. Concurrent ones share a statement."""

    def __init__(self, database: Database, outbox: Outbox[PartnersEvent]) -> None:
        self._database = database
        self._outbox = outbox
        self._batcher = MicroBatcher(self._record_all)

    @override
    async def record(self, call: Call, attempt: Attempt, event: PartnerNotified) -> bool:
        result = {
            "call_id": call.id,
            "attempt_number": call.attempts,
            "attempt": Jsonb(msgspec.to_builtins(attempt)),
            "answer": attempt.answer,
        }
        return await self._batcher.submit({**result, **self._outbox.to_row(event)})

    async def _record_all(self, results: Sequence[Mapping[str, Any]]) -> Sequence[bool]:
        delivered = {row["id"] for row in await self._database.fetch_all(_RECORD, **collect_columns(results))}
        return [result["call_id"] in delivered for result in results]
