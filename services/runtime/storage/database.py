"""PostgreSQL: statements are written in SQLAlchemy Core, compiled once at import, and run by psycopg, prepared.

SQLAlchemy at run time would cost a request 13 to 30% of its CPU; as a language for statements it costs nothing.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self, cast

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy import CTE, ColumnElement, Select, Table, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.functions import Function

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

log = logging.getLogger(__name__)

set_json_dumps(msgspec.json.encode)
set_json_loads(msgspec.json.decode)

DELETE_BATCH_SIZE = 1000
"""Rows that one statement removes of those that are old."""

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_SESSION_OPTIONS = (
    "-c statement_timeout=5000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
)


class Statement[Row = dict[str, Any]]:
    """A compiled statement, and the type its rows are read into by column name; rows are plain dicts without one.

    The server plans it once, for values that it does not know; with `each_anew` it does for each, which costs a
    millisecond and pays where the best way depends on what is looked for.
    """

    __slots__ = ("_row_type", "defaults", "is_replanned", "span_attributes", "sql", "summary")

    def __init__(
        self, statement: ClauseElement, row_type: type[Row] | None = None, *, is_replanned: bool = False
    ) -> None:
        self.is_replanned = is_replanned
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled).encode()
        self.defaults: dict[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}
        self._row_type = row_type
        operation, table = _describe_statement(statement)
        self.summary = f"{operation} {table}".strip()
        self.span_attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": operation,
            "db.query.summary": self.summary,
            **({"db.collection.name": table} if table else {}),
        }

    def read_row(self, row: DictRow) -> Row:
        """One row, as the type that was asked for."""
        return cast(Row, row) if self._row_type is None else self._row_type(**row)


def _describe_statement(statement: ClauseElement) -> tuple[str, str]:
    """What a statement does, and to which table first: ("UPDATE", "orders")."""
    written = (each.element for each in visitors.iterate(statement) if isinstance(each, CTE))
    statement = next((each for each in written if isinstance(each, UpdateBase)), statement)
    if isinstance(statement, UpdateBase) and isinstance(statement.table, Table):
        return statement.__visit_name__.upper(), statement.table.name
    if isinstance(statement, Select):
        tables = (name for found in statement.get_final_froms() for name in _find_tables(found))
        functions = (each.name for each in visitors.iterate(statement) if isinstance(each, Function))
        return "SELECT", next(tables, None) or next(functions, "")
    return str(statement).split(maxsplit=1)[0].upper(), ""


def _find_tables(element: ClauseElement) -> Iterator[str]:
    return (each.name for each in visitors.iterate(element) if isinstance(each, Table))


def build_upsert(table: Table) -> Statement:
    """Makes a row, or makes the row of the same key what it should be; takes every column by name."""
    statement = insert(table).values({column.name: bindparam(column.name) for column in table.c})
    others = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return Statement(statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=others))


def build_batch_delete(table: Table, *old: ColumnElement[bool]) -> Statement:
    """Removes rows that are old, some at a time, so that no statement takes long; rows that others hold are left."""
    key = list(table.primary_key.columns)
    found = select(*key).where(*old).limit(DELETE_BATCH_SIZE).with_for_update(skip_locked=True).cte("old")
    same = (column == found.c[column.name] for column in key)
    return Statement(delete(table).where(*same))


class Transaction:
    """Statements that take effect together or not at all."""

    __slots__ = ("_after_commit_hooks", "connection")

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self.connection = connection
        self._after_commit_hooks: list[Callable[[], None]] = []

    def add_after_commit_hook(self, hook: Callable[[], None]) -> None:
        """Has something done once it is sure that all of this took effect; a crash in between leaves it out."""
        self._after_commit_hooks.append(hook)

    def run_after_commit_hooks(self) -> None:
        """Does what was to be done after the commit."""
        for do in self._after_commit_hooks:
            do()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that may be undone without the rest: by an exception, which goes on."""
        before = len(self._after_commit_hooks)
        try:
            async with self.connection.transaction():
                yield
        except BaseException:
            del self._after_commit_hooks[before:]
            raise

    async def _execute_statement(self, statement: Statement[Any], values: dict[str, Any]) -> AsyncCursor[DictRow]:
        with tracing.start_child_span(statement.summary, attributes=statement.span_attributes):
            given = {**statement.defaults, **values}
            return await self.connection.execute(statement.sql, given, prepare=not statement.is_replanned)

    async def fetch_all[Row](self, statement: Statement[Row], **values: Any) -> list[Row]:
        """Every row."""
        cursor = await self._execute_statement(statement, values)
        return [statement.read_row(row) for row in await cursor.fetchall()]

    async def fetch_one[Row](self, statement: Statement[Row], **values: Any) -> Row | None:
        """The first row, or None."""
        cursor = await self._execute_statement(statement, values)
        row = await cursor.fetchone()
        return None if row is None else statement.read_row(row)

    async def execute(self, statement: Statement[Any], **values: Any) -> int:
        """How many rows it touched."""
        cursor = await self._execute_statement(statement, values)
        return cursor.rowcount

    async def execute_many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """The statement once per row of values, without waiting for one answer before the next is sent."""
        with tracing.start_child_span(statement.summary, attributes=statement.span_attributes):
            cursor = self.connection.cursor()
            await cursor.executemany(statement.sql, [{**statement.defaults, **row} for row in rows])


class Database:
    """A pool of connections to one service's own database."""

    def __init__(self, url: str, *, max_size: int = 8) -> None:
        self.url = url
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            url,
            connection_class=AsyncConnection[DictRow],
            kwargs={"autocommit": True, "row_factory": dict_row, "options": _SESSION_OPTIONS},
            min_size=1,
            max_size=max_size,
            timeout=3,
            open=False,
        )

    async def __aenter__(self) -> Self:
        """Opens the pool; connections are made in the background and made again when the server comes back."""
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes every connection."""
        await self._pool.close(timeout=2)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commits when the block ends, rolls back when it raises. Refuses UPSTREAM_UNAVAILABLE without a server."""
        with _map_errors():
            async with self._pool.connection() as connection:
                async with connection.transaction():
                    transaction = Transaction(connection)
                    yield transaction
                transaction.run_after_commit_hooks()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Transaction]:
        """For statements of which each stands alone."""
        with _map_errors():
            async with self._pool.connection() as connection:
                yield Transaction(connection)

    async def fetch_all[Row](self, statement: Statement[Row], **values: Any) -> list[Row]:
        """Every row of one statement."""
        async with self.connection() as connection:
            return await connection.fetch_all(statement, **values)

    async def fetch_one[Row](self, statement: Statement[Row], **values: Any) -> Row | None:
        """The first row of one statement, or None."""
        async with self.connection() as connection:
            return await connection.fetch_one(statement, **values)

    async def execute(self, statement: Statement[Any], **values: Any) -> int:
        """How many rows one statement touched."""
        async with self.connection() as connection:
            return await connection.execute(statement, **values)


@contextmanager
def _map_errors() -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The database is away.", retry_after=2) from error
    except psycopg.DataError as error:
        # NUL in a text, a number that no column holds: what services are given by other services is not all checked.
        log.warning("the database cannot hold what was given: %s, %s", type(error).__name__, error.sqlstate)
        raise ApiError(Reason.INVALID_REQUEST, "A value cannot be kept.") from error
