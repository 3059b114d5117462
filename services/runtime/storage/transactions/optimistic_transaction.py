"""Transactions without locks: plain reads, then all writes as one statement, without BEGIN and COMMIT."""

from contextlib import AbstractAsyncContextManager
from typing import Any, override

from psycopg import errors

from services.runtime.core.unit_of_work import LocksRequired
from services.runtime.storage.database import Database
from services.runtime.storage.statements.combined_statements import (
    combine_values,
    combine_with_conditions,
    split_combinable,
)
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.transactions.prepared_statements import StatementResult
from services.runtime.storage.transactions.transaction import Transaction

CONFLICTS = (errors.DivisionByZero, errors.UniqueViolation, errors.DeadlockDetected, errors.SerializationFailure)
"""Errors of the combined statement if rows have changed since they were read, see `combine_with_conditions`."""


class OptimisticTransaction(Transaction):
    """Transaction that raises LocksRequired instead of locking rows, or reading after a write.

    Writes are deferred. Their only statement changes nothing, and the error is LocksRequired, if an update with a
    `missing_row_error` changes no row, or if a row that is inserted exists.
    """

    is_optimistic = True
    __slots__ = ()

    @override
    async def begin(self) -> None:
        raise LocksRequired("savepoints and pipelines need a transaction")

    @override
    async def roll_back(self) -> None:
        """Discard the deferred statements. Nothing else was changed."""

    @override
    async def flush(self, *, is_last: bool = False) -> None:
        deferred, self._deferred = self._deferred, []
        groups = [*split_combinable(deferred)]
        if len(groups) > 1:
            raise LocksRequired("writes on one table need several statements")
        for group in groups:
            must_change = tuple(each.missing_row_error is not None for each in group)
            combined = combine_with_conditions(tuple(each.statement for each in group), must_change)
            try:
                await self._execute(combined, combine_values(group), prepare=True)
            except CONFLICTS as error:
                raise LocksRequired("a row has changed since it was read") from error

    @override
    async def _execute_statement(self, statement: Statement[Any], values: dict[str, Any]) -> StatementResult:
        if self._deferred or not statement.is_read_without_locks:
            raise LocksRequired(f"{statement.summary} needs a transaction")
        return await self._execute(statement, {**statement.defaults, **values}, prepare=not statement.is_replanned)


def begin_optimistic_transaction(database: Database) -> AbstractAsyncContextManager[OptimisticTransaction]:
    """Open a transaction without locks. Raises LocksRequired, and the errors of `Database.transaction`."""
    return database.bind_pooled(OptimisticTransaction)
