"""PostgreSQL: connection pool, transactions, and SQLAlchemy Core statements compiled at import and run by psycopg.

Running statements through SQLAlchemy would take 13 to 30 % of a request's CPU time; compilation at import takes none.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any, Self, cast

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow
from psycopg.types.json import set_json_dumps, set_json_loads
from sqlalchemy import BindParameter, ColumnElement, DateTime, Table, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from services.runtime.storage.connection_pool import create_pool
from services.runtime.storage.database_errors import map_database_errors
from services.runtime.storage.statements.combined_statements import (
    CombinedStatement,
    DeferredStatement,
    combine,
    combine_values,
    split_combinable,
)
from services.runtime.storage.statements.literals import render_constants
from services.runtime.storage.statements.statement_operations import StatementOperations
from services.runtime.storage.statements.statement_summary import (
    describe_statement,
    find_inserted_tables,
    is_read_without_locks,
)

set_json_dumps(msgspec.json.encode)
set_json_loads(msgspec.json.decode)

DELETE_BATCH_SIZE = 1000
"""Maximum number of rows that one statement of `build_batch_delete` deletes."""

TIMESTAMPTZ = DateTime(timezone=True)
"""Column type `timestamp with time zone`."""

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Statement[Row = dict[str, Any]]:
    """Compiled statement with an optional row type, whose fields are column names; without one, rows are dicts.

    Statements are prepared, so PostgreSQL can reuse one generic plan. Constants are literals in it, since the condition
    of a partial index matches no parameter. With `is_replanned` it plans each execution. That takes about a millisecond
    and pays off if the best plan depends on the values.
    """

    def __init__(
        self, statement: ClauseElement, row_type: type[Row] | None = None, *, is_replanned: bool = False
    ) -> None:
        self.is_replanned = is_replanned
        self.sql, self.defaults = render_constants(cast(SQLCompiler, statement.compile(dialect=_DIALECT)))
        self._row_type = row_type
        self.operation, self.collection = describe_statement(statement)
        self.summary = f"{self.operation} {self.collection}".strip()
        self.inserted_tables = find_inserted_tables(self.sql)
        self.is_read_without_locks = is_read_without_locks(self.sql)

    def read_row(self, row: DictRow) -> Row:
        """Convert a row to the row type."""
        return cast(Row, row) if self._row_type is None else self._row_type(**row)


def bind_columns(table: Table) -> dict[str, BindParameter[Any]]:
    """Return a parameter for each column, with the column's name."""
    return {column.name: bindparam(column.name) for column in table.c}


def build_upsert(table: Table) -> Statement:
    """Build an INSERT … ON CONFLICT DO UPDATE of all columns, which are the parameters of the statement."""
    statement = insert(table).values(bind_columns(table))
    updates = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return Statement(statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=updates))


def build_batch_delete(table: Table, *conditions: ColumnElement[bool]) -> Statement:
    """Build a DELETE of at most DELETE_BATCH_SIZE matching rows, which skips locked rows and bounds the run time."""
    key = list(table.primary_key.columns)
    batch = select(*key).where(*conditions).limit(DELETE_BATCH_SIZE).with_for_update(skip_locked=True).cte("old")
    matches_key = (column == batch.c[column.name] for column in key)
    return Statement(delete(table).where(*matches_key))


class Transaction:
    """Database transaction, or a connection in autocommit mode (see `Database.connection`).

    A transaction begins with its first statement, so that a single deferred statement is a transaction of its own.
    `end` ends the transaction when it is closed; None stands for autocommit mode.
    """

    is_optimistic = False
    __slots__ = ("_after_commit_hooks", "_cursor", "_deferred", "_end", "_is_begun", "_operations", "connection")

    def __init__(
        self,
        connection: AsyncConnection[DictRow],
        cursor: AsyncCursor[DictRow],
        operations: StatementOperations,
        end: AsyncExitStack | None = None,
    ) -> None:
        self.connection = connection
        self._cursor = cursor
        self._operations = operations
        self._end = end
        self._is_begun = False
        self._after_commit_hooks: list[Callable[[], None]] = []
        self._deferred: list[DeferredStatement[Statement[Any]]] = []

    async def begin(self) -> None:
        """Begin the transaction unless it has begun. Statements that are executed by `connection` do not begin it."""
        if self._end is not None and not self._is_begun:
            await self._end.enter_async_context(self.connection.transaction())
            self._is_begun = True

    def raise_if_lost(self) -> None:
        """Raise OperationalError if the transaction cannot be committed, which psycopg does not report itself."""
        if self._is_begun and self.connection.closed:
            raise psycopg.OperationalError("connection closed before the commit")

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
                row_counts = [(await self._execute(statement, values, prepare=not statement.is_replanned)).rowcount]
            else:
                combined = combine(tuple(each.statement for each in group))
                cursor = await self._execute(combined, combine_values(group), prepare=True)
                row_counts = (await cursor.fetchone() or {})["row_counts"]
            for each, row_count in zip(group, row_counts, strict=True):
                if not row_count and each.missing_row_error is not None:
                    raise each.missing_row_error

    async def _execute_statement(self, statement: Statement[Any], values: dict[str, Any]) -> AsyncCursor[DictRow]:
        await self.begin()
        if self._deferred:
            await self.flush()
        return await self._execute(statement, {**statement.defaults, **values}, prepare=not statement.is_replanned)

    async def _execute(
        self, statement: Statement[Any] | CombinedStatement, values: Mapping[str, Any], *, prepare: bool
    ) -> AsyncCursor[DictRow]:
        with self._operations.measure(statement):
            cursor = await self._cursor.execute(statement.sql, values, prepare=prepare)
        self._add_insertion_hooks(statement)
        return cursor

    def _add_insertion_hooks(self, statement: Statement[Any] | CombinedStatement) -> None:
        hooks = self._operations.insertion_hooks
        self._after_commit_hooks += [hooks[table] for table in statement.inserted_tables if table in hooks]

    async def fetch_all[Row](self, statement: Statement[Row], **values: Any) -> list[Row]:
        """Return all rows."""
        cursor = await self._execute_statement(statement, values)
        return [statement.read_row(row) for row in await cursor.fetchall()]

    async def fetch_one[Row](self, statement: Statement[Row], **values: Any) -> Row | None:
        """Return the first row, or None."""
        cursor = await self._execute_statement(statement, values)
        row = await cursor.fetchone()
        return None if row is None else statement.read_row(row)

    async def execute(self, statement: Statement[Any], **values: Any) -> int:
        """Return the number of affected rows."""
        cursor = await self._execute_statement(statement, values)
        return cursor.rowcount

    async def execute_many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement for each row of values, in pipeline mode."""
        await self.begin()
        await self.flush()
        with self._operations.measure(statement):
            cursor = self.connection.cursor()
            await cursor.executemany(statement.sql, [{**statement.defaults, **row} for row in rows])
        self._add_insertion_hooks(statement)


class Database:
    """Connection pool of a service's database. `settings` are further settings of its sessions."""

    def __init__(self, url: str, *, max_size: int = 8, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.url = url
        self._operations = StatementOperations(str(conninfo_to_dict(url).get("dbname", "")))
        self._pool = create_pool(url, max_size, settings)

    async def __aenter__(self) -> Self:
        """Open the pool. It connects in the background, and reconnects when the server is available again."""
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._pool.close(timeout=2)

    def set_insertion_hook(self, table: str, hook: Callable[[], None]) -> None:
        """Run the hook after each commit of an insertion into the table by this object."""
        self._operations.insertion_hooks[table] = hook

    def bind(self, connection: AsyncConnection[DictRow]) -> Transaction:
        """Return an interface for statements on a connection that does not belong to the pool."""
        return Transaction(connection, connection.cursor(), self._operations)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Run the block in a transaction, which is rolled back if it raises.

        Raises ApiError: UPSTREAM_UNAVAILABLE, INVALID_REQUEST.
        """
        with map_database_errors():
            async with self._pool.connection() as connection:
                async with AsyncExitStack() as end:
                    transaction = Transaction(connection, connection.statement_cursor, self._operations, end)
                    yield transaction
                    await transaction.flush(is_last=True)
                    transaction.raise_if_lost()
                transaction.run_after_commit_hooks()

    @asynccontextmanager
    async def bind_pooled[T: Transaction](self, transaction_type: type[T]) -> AsyncIterator[T]:
        """Yield a transaction of this type in autocommit mode. Raises the errors of `transaction`."""
        with map_database_errors():
            async with self._pool.connection() as connection:
                yield transaction_type(connection, connection.statement_cursor, self._operations)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Transaction]:
        """Yield a connection in autocommit mode, for independent statements. Raises the errors of `transaction`."""
        with map_database_errors():
            async with self._pool.connection() as connection:
                transaction = Transaction(connection, connection.statement_cursor, self._operations)
                try:
                    yield transaction
                    await transaction.flush()
                finally:  # each statement before an error is committed
                    transaction.run_after_commit_hooks()

    async def fetch_all[Row](self, statement: Statement[Row], **values: Any) -> list[Row]:
        """Return all rows of a statement."""
        async with self.connection() as connection:
            return await connection.fetch_all(statement, **values)

    async def fetch_one[Row](self, statement: Statement[Row], **values: Any) -> Row | None:
        """Return the first row of a statement, or None."""
        async with self.connection() as connection:
            return await connection.fetch_one(statement, **values)

    async def execute(self, statement: Statement[Any], **values: Any) -> int:
        """Return the number of rows affected by a statement."""
        async with self.connection() as connection:
            return await connection.execute(statement, **values)
