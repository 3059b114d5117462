"""Units of work: the transactions that use cases open."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, override

from services.runtime.storage.database import Database, Transaction
from services.runtime.storage.idempotency import IdempotencyKey, IdempotentResponse, begin_idempotent_transaction


class UnitOfWorkFactory[Unit](Protocol):
    """Factory of units of work. One is committed at the end of its block, and rolled back if the block raises."""

    def unit_of_work(self) -> AbstractAsyncContextManager[Unit]:
        """Open a unit of work."""

    def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AbstractAsyncContextManager[tuple[Unit, IdempotentResponse]]:
        """Open a unit of work with the response of an earlier request with the key, or an empty one, to be set."""


class PostgresUnitOfWorkFactory[Unit](UnitOfWorkFactory[Unit]):
    """Factory of units of work that `build_unit` creates for a transaction."""

    def __init__(self, database: Database, build_unit: Callable[[Transaction], Unit]) -> None:
        self._database = database
        self._build_unit = build_unit

    @override
    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[Unit]:
        async with self._database.transaction() as transaction:
            yield self._build_unit(transaction)

    @override
    @asynccontextmanager
    async def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AsyncIterator[tuple[Unit, IdempotentResponse]]:
        async with begin_idempotent_transaction(self._database, key) as (transaction, response):
            yield self._build_unit(transaction), response
