"""Positions of deliverers in PostgreSQL.

The table is not logged, so positions are in no backup and no write-ahead log; a crash of the server deletes them.
"""

from dataclasses import asdict
from typing import override

from sqlalchemy import bindparam, delete, select

from services.orders.adapters.postgres.tables import deliverer_positions
from services.orders.domain.addresses import DelivererPosition
from services.orders.usecases.ports import DelivererPositionRepository
from services.runtime.concurrency.coalescing import RequestCoalescer
from services.runtime.core.repository import EntityReader
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement, build_upsert
from services.runtime.storage.transactions.transaction import Transaction

_UPSERT_POSITION = build_upsert(deliverer_positions)
_SELECT_POSITION = Statement(
    select(deliverer_positions).where(deliverer_positions.c.order_id == bindparam("order_id")),
    row_type=DelivererPosition,
)
_DELETE_POSITION = Statement(delete(deliverer_positions).where(deliverer_positions.c.order_id == bindparam("order_id")))


class PostgresDelivererPositionReader(EntityReader[str, DelivererPosition]):
    """Read access to positions in PostgreSQL. Concurrent equal queries are coalesced."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._coalesced_positions = RequestCoalescer(self._fetch)

    @override
    async def get(self, key: str) -> DelivererPosition | None:
        return await self._coalesced_positions.get(key)

    async def _fetch(self, order_id: str) -> DelivererPosition | None:
        return await self._database.fetch_one(_SELECT_POSITION, order_id=order_id)


class PostgresDelivererPositionRepository(DelivererPositionRepository):
    """Positions of one transaction in PostgreSQL. A trigger notifies the listeners of the order."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def save(self, position: DelivererPosition) -> None:
        self._transaction.defer(_UPSERT_POSITION, **asdict(position))

    @override
    async def delete(self, order_id: str) -> None:
        self._transaction.defer(_DELETE_POSITION, order_id=order_id)
