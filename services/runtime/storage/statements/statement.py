"""SQLAlchemy Core statements that are compiled at import.

Running statements through SQLAlchemy would take 13 to 30 % of a request's CPU time; compilation at import takes none.
"""

from typing import Any, cast

from psycopg.rows import DictRow
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    DateTime,
    Table,
    bindparam,
    delete,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from services.runtime.storage.statements.literals import render_constants
from services.runtime.storage.statements.statement_summary import (
    describe_statement,
    find_inserted_tables,
    is_read_without_locks,
)

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
