"""Units of work in PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import override

from services.runtime.core.errors import ApiError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.unit_of_work import IdempotentUnitOfWorkFactory, LocksRequired, UnitOfWorkFactory
from services.runtime.storage.database import Database
from services.runtime.storage.idempotency import add_response, begin_idempotent_transaction
from services.runtime.storage.transactions.optimistic_transaction import begin_optimistic_transaction
from services.runtime.storage.transactions.transaction import Transaction


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
    async def run_optimistically[Result](self, operation: Callable[[Unit], Awaitable[Result]]) -> Result:
        with suppress(LocksRequired):
            async with begin_optimistic_transaction(self._database) as transaction:
                return await operation(self._build_unit(transaction))
        async with self.unit_of_work() as unit:
            return await operation(unit)


class PostgresIdempotentUnitOfWorkFactory[Unit](PostgresUnitOfWorkFactory[Unit], IdempotentUnitOfWorkFactory[Unit]):
    """Factory of units of work in a database with the table `idempotency_keys`."""

    @override
    @asynccontextmanager
    async def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AsyncIterator[tuple[Unit, IdempotentResponse]]:
        async with begin_idempotent_transaction(self._database, key) as (transaction, response):
            yield self._build_unit(transaction), response

    @override
    async def run_idempotently(
        self, key: IdempotencyKey | None, operation: Callable[[Unit], Awaitable[bytes]]
    ) -> IdempotentResponse:
        if key is None:
            return IdempotentResponse(await self.run_optimistically(operation))
        with suppress(LocksRequired):
            async with begin_optimistic_transaction(self._database) as transaction:
                try:
                    data = await operation(self._build_unit(transaction))
                except ApiError as error:
                    raise LocksRequired("an earlier response replaces the error, or the error is stored") from error
                add_response(transaction, key, data)
            return IdempotentResponse(data)
        async with self.idempotent_unit_of_work(key) as (unit, response):
            if not response.replayed:
                response.data = await operation(unit)
        return response
