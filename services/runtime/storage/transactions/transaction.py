"""Transactions on the connections of a pool, with deferred statements and hooks."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, override

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from services.runtime.storage.connection_pool import EventLoopConnection, ServerUnresponsive
from services.runtime.storage.database_errors import raise_api_error
from services.runtime.storage.statements.combined_statements import (
    CombinedStatement,
    DeferredStatement,
    combine,
    combine_values,
    split_combinable,
)
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.statements.statement_operations import StatementOperations
from services.runtime.storage.transactions.prepared_statements import PreparedStatements, StatementResult

log = logging.getLogger(__name__)


class Transaction:
    """Database transaction, or a connection in autocommit mode (see `Database.connection`).

    A transaction begins with its first statement, so that a single deferred statement is a transaction of its own.
    """

    is_optimistic = False
    __slots__ = (
        "_after_commit_hooks",
        "_deferred",
        "_is_autocommit",
        "_is_begun",
        "_operations",
        "_statements",
        "connection",
    )

    def __init__(
        self,
        connection: AsyncConnection[DictRow],
        statements: PreparedStatements,
        operations: StatementOperations,
        *,
        is_autocommit: bool,
    ) -> None:
        self.connection = connection
        self._statements = statements
        self._operations = operations
        self._is_autocommit = is_autocommit
        self._is_begun = False
        self._after_commit_hooks: list[Callable[[], None]] = []
        self._deferred: list[DeferredStatement[Statement[Any]]] = []

    async def begin(self) -> None:
        """Begin the transaction unless it has begun. Statements that are executed by `connection` do not begin it."""
        if not self._is_autocommit and not self._is_begun:
            self._is_begun = True  # even if the response is not received
            await self._statements.run_command(b"BEGIN")

    async def commit(self) -> None:
        """Execute the deferred statements, commit, and run the hooks."""
        try:
            await self.flush(is_last=not self._is_autocommit)
            if self._is_begun:
                await self._statements.run_command(b"COMMIT")
        except BaseException:
            await self.roll_back()
            raise
        self.run_after_commit_hooks()

    async def roll_back(self) -> None:
        """Roll back. In autocommit mode, the executed statements are committed, so their hooks run."""
        if self._is_autocommit:
            self.run_after_commit_hooks()
        elif self._is_begun and not self.connection.closed:
            try:
                await self._statements.run_command(b"ROLLBACK")
            except psycopg.Error as error:
                log.warning("rollback failed: %s; the connection is reset by the pool", error)

    def add_after_commit_hook(self, hook: Callable[[], None]) -> None:
        """Register a hook that runs after the commit; it does not run if the process crashes in between."""
        self._after_commit_hooks.append(hook)

    def run_after_commit_hooks(self) -> None:
        """Run the hooks after the commit."""
        for hook in self._after_commit_hooks:
            hook()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Roll back to the start of the block, including hooks, if it raises. The exception propagates."""
        await self.begin()
        await self.flush()
        hook_count = len(self._after_commit_hooks)
        try:
            async with self.connection.transaction():
                yield
                await self.flush()
        except BaseException:
            self._deferred.clear()
            del self._after_commit_hooks[hook_count:]
            raise

    def defer(self, statement: Statement[Any], missing_row_error: Exception | None = None, /, **values: Any) -> None:
        """Execute an INSERT, UPDATE or DELETE before the next other statement, at the latest before the commit.

        Deferred statements are combined into one. `missing_row_error` is raised then if this one changes no row.
        """
        self._deferred.append(DeferredStatement(statement, {**statement.defaults, **values}, missing_row_error))

    async def flush(self, *, is_last: bool = False) -> None:
        """Execute the deferred statements, with `is_last` before the commit. Raises their `missing_row_error`."""
        deferred, self._deferred = self._deferred, []
        groups = [*split_combinable(deferred)]
        # If one of several statements changes no row, the others must be rolled back.
        may_fail = len(deferred) > 1 and any(each.missing_row_error is not None for each in deferred)
        if groups and (may_fail or len(groups) > 1 or not is_last):
            await self.begin()
        for group in groups:
            if len(group) == 1:
                statement, values, _ = group[0]
                row_counts = [(await self._execute(statement, values, prepare=not statement.is_replanned)).row_count]
            else:
                combined = combine(tuple(each.statement for each in group))
                result = await self._execute(combined, combine_values(group), prepare=True)
                row_counts = result.rows[0]["row_counts"]
            for each, row_count in zip(group, row_counts, strict=True):
                if not row_count and each.missing_row_error is not None:
                    raise each.missing_row_error

    async def _execute_statement(self, statement: Statement[Any], values: dict[str, Any]) -> StatementResult:
        await self.begin()
        if self._deferred:
            await self.flush()
        return await self._execute(statement, {**statement.defaults, **values}, prepare=not statement.is_replanned)

    async def _execute(
        self, statement: Statement[Any] | CombinedStatement, values: Mapping[str, Any], *, prepare: bool
    ) -> StatementResult:
        with self._operations.measure(statement):
            result = await self._statements.execute(statement.sql, values, prepare=prepare)
        self._add_insertion_hooks(statement)
        return result

    def _add_insertion_hooks(self, statement: Statement[Any] | CombinedStatement) -> None:
        hooks = self._operations.insertion_hooks
        self._after_commit_hooks += [hooks[table] for table in statement.inserted_tables if table in hooks]

    async def fetch_all[Row](self, statement: Statement[Row], **values: Any) -> list[Row]:
        """Return all rows."""
        result = await self._execute_statement(statement, values)
        return [statement.read_row(row) for row in result.rows]

    async def fetch_one[Row](self, statement: Statement[Row], **values: Any) -> Row | None:
        """Return the first row, or None."""
        result = await self._execute_statement(statement, values)
        return statement.read_row(result.rows[0]) if result.rows else None

    async def execute(self, statement: Statement[Any], **values: Any) -> int:
        """Return the number of affected rows."""
        result = await self._execute_statement(statement, values)
        return result.row_count

    async def execute_many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement for each row of values, in pipeline mode."""
        await self.begin()
        await self.flush()
        with self._operations.measure(statement):
            cursor = self.connection.cursor()
            await cursor.executemany(statement.sql, [{**statement.defaults, **row} for row in rows])
        self._add_insertion_hooks(statement)


class PooledTransaction[T: Transaction](AbstractAsyncContextManager[T]):
    """Transaction of a type on a connection of the pool.

    A class, because generators as context managers would take a third of the processor time of a short transaction.
    """

    __slots__ = ("_connection", "_is_autocommit", "_operations", "_pool", "_transaction", "_transaction_type")

    _connection: EventLoopConnection
    _transaction: T

    def __init__(
        self,
        pool: AsyncConnectionPool[EventLoopConnection],
        operations: StatementOperations,
        transaction_type: type[T],
        *,
        is_autocommit: bool,
    ) -> None:
        self._pool = pool
        self._operations = operations
        self._transaction_type = transaction_type
        self._is_autocommit = is_autocommit

    @override
    async def __aenter__(self) -> T:
        try:
            self._connection = await self._pool.getconn()
        except Exception as error:
            raise_api_error(error)
            raise
        self._transaction = self._transaction_type(
            self._connection, self._connection.statements, self._operations, is_autocommit=self._is_autocommit
        )
        return self._transaction

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._transaction.commit()
            else:
                await self._transaction.roll_back()
        except Exception as commit_error:
            await self._handle_error(commit_error)
            raise
        finally:
            await self._pool.putconn(self._connection)
        if error is not None:
            await self._handle_error(error)

    async def _handle_error(self, error: BaseException) -> None:
        """Raise ApiError as `raise_api_error`. The pool replaces its idle connections to an unresponsive server."""
        if isinstance(error, ServerUnresponsive):
            await self._pool.drain()
        raise_api_error(error)
