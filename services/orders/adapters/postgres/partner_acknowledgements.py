"""Acknowledgements of orders by partners in PostgreSQL. Those that arrive together are stored by one statement."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Column, Text, or_, update

from services.orders.adapters.postgres.tables import orders
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.storage.database import Database
from services.runtime.storage.statements.row_parameters import build_rows, collect_columns
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement

BATCH_DELAY_S = 0.1
"""Delay in which further acknowledgements join a batch. Only alerts about orders without one depend on them."""

_acknowledged = build_rows(
    "acknowledged", [Column("order_id", Text), Column("partner_id", Text), Column("notified_at", TIMESTAMPTZ)]
)
_SET_PARTNER_NOTIFIED_AT = Statement(
    update(orders)
    .where(
        orders.c.id == _acknowledged.c.order_id,
        orders.c.partner["id"].astext == _acknowledged.c.partner_id,
        or_(orders.c.partner_notified_at.is_(None), orders.c.partner_notified_at > _acknowledged.c.notified_at),
    )
    .values(partner_notified_at=_acknowledged.c.notified_at)
)


class Acknowledgement(NamedTuple):
    """Time at which a partner acknowledged an order."""

    order_id: str
    partner_id: int
    at: datetime


class PostgresAcknowledgementStore:
    """Stores the first acknowledgement of each order by its partner."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher = MicroBatcher(self._record_all, delay_s=BATCH_DELAY_S)

    async def record(self, acknowledgement: Acknowledgement) -> None:
        """Return when the acknowledgement is committed."""
        await self._batcher.submit(acknowledgement)

    async def _record_all(self, acknowledgements: Sequence[Acknowledgement]) -> Sequence[None]:
        # One row per order and partner, since the statement would use any of several. The common order makes deadlocks
        # of concurrent statements less likely; the plan may lock rows in another one. A deadlocked batch fails with
        # UPSTREAM_UNAVAILABLE, and its messages are retried.
        earliest = {each[:2]: each for each in sorted(acknowledgements, reverse=True)}
        rows = [
            {"order_id": order_id, "partner_id": str(partner_id), "notified_at": at}
            for order_id, partner_id, at in reversed(earliest.values())
        ]
        await self._database.execute(_SET_PARTNER_NOTIFIED_AT, **collect_columns(rows))
        return [None] * len(acknowledgements)
