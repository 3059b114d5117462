"""Execution of statements on one connection of psycopg without its cursors.

A cursor converts the placeholders of a statement and creates the converters of its values again for each execution of
another statement. Here, both are done once per statement and connection.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self, override

import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.types.array import ListDumper

_PLACEHOLDER = re.compile(rb"%(?:%|\((?P<name>\w+)\)s)")


class _UntypedListDumper(ListDumper):
    """Converter of lists to arrays of an unknown type, which PostgreSQL determines.

    That of psycopg finds the smallest type of the elements, which takes longer than the conversion. A statement is then
    prepared for each type of numbers.
    """

    @override
    def get_key(self, obj: list[Any], format: PyFormat) -> type:
        return self.cls

    @override
    def upgrade(self, obj: list[Any], format: PyFormat) -> Self:
        return self


class StatementResult(NamedTuple):
    """Rows by column name, and the number of returned or changed rows."""

    rows: Sequence[dict[str, Any]]
    row_count: int


class _Statement:
    """Statement with numbered parameters, the converters of its values, and the names under which it is prepared."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], sql: bytes) -> None:
        self.sql, self._parameters = convert_placeholders(sql)
        self._formats = [PyFormat.AUTO] * len(self._parameters)
        self._columns: tuple[str, ...] = ()
        self.names: dict[tuple[int, ...], bytes] = {}
        """Name of the prepared statement by the types of the parameters; that of None is unknown."""
        self.converters = Transformer(connection)

    def convert_values(self, values: Mapping[str, Any]) -> Sequence[Any]:
        """Convert the values of the parameters. Their types and formats are those of `converters`."""
        return self.converters.dump_sequence([values[name] for name in self._parameters], self._formats)

    def read_rows(self, result: PGresult) -> list[dict[str, Any]]:
        """Convert all rows of a result."""
        if not self._columns:
            self._columns = tuple((result.fname(index) or b"").decode() for index in range(result.nfields))
        columns = self._columns
        self.converters.set_pgresult(result)
        rows = self.converters.load_rows(0, result.ntuples, lambda row: dict(zip(columns, row, strict=True)))
        self.converters.set_pgresult(None)  # frees the memory of the result
        return rows


class PreparedStatements:
    """Statements of one connection in autocommit mode. Only one object of a connection may prepare statements."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], *, may_prepare: bool = True) -> None:
        self._connection = connection
        connection.adapters.register_dumper(list, _UntypedListDumper)
        self._may_prepare = may_prepare
        self._statements: dict[bytes, _Statement] = {}
        self._prepared_count = 0

    async def execute(self, sql: bytes, values: Mapping[str, Any], *, prepare: bool) -> StatementResult:
        """Execute a statement with placeholders such as `%(id)s`, and return all rows.

        With `prepare`, PostgreSQL can reuse its plan.
        """
        async with self._connection.lock:
            return await self._connection.wait(self._execute(sql, values, prepare=prepare))

    async def run_command(self, sql: bytes) -> None:
        """Execute a statement without parameters and rows, such as BEGIN."""
        async with self._connection.lock:
            await self._connection.wait(self._run_command(sql))

    def _run_command(self, sql: bytes) -> PQGen[None]:
        self._connection.pgconn.send_query(sql)
        yield from _receive_result(self._connection.pgconn)

    def _execute(self, sql: bytes, values: Mapping[str, Any], *, prepare: bool) -> PQGen[StatementResult]:
        statement = self._statements.get(sql)
        if statement is None:
            statement = self._statements[sql] = _Statement(self._connection, sql)
        pgconn, converters = self._connection.pgconn, statement.converters
        parameters = statement.convert_values(values)
        types = converters.types or ()
        if prepare and self._may_prepare:
            name = statement.names.get(types)
            if name is None:
                self._prepared_count += 1
                name = b"statement_%d" % self._prepared_count
                pgconn.send_prepare(name, statement.sql, types)
                yield from _receive_result(pgconn)
                statement.names[types] = name
            pgconn.send_query_prepared(name, parameters, converters.formats)
        else:
            pgconn.send_query_params(statement.sql, parameters, types, converters.formats)
        result = yield from _receive_result(pgconn)
        if result.status == ExecStatus.TUPLES_OK:
            return StatementResult(statement.read_rows(result), result.ntuples)
        return StatementResult((), result.command_tuples or 0)


def convert_placeholders(sql: bytes) -> tuple[bytes, list[str]]:
    """Return a statement with the parameters $1, $2 …, and the names of their placeholders in this order."""
    numbers: dict[str, int] = {}

    def replace(match: re.Match[bytes]) -> bytes:
        if match["name"] is None:
            return b"%"
        return b"$%d" % numbers.setdefault(match["name"].decode(), len(numbers) + 1)

    return _PLACEHOLDER.sub(replace, sql), list(numbers)


def _receive_result(pgconn: PGconn) -> PQGen[PGresult]:
    """Send what is pending and return the result. Raises psycopg.Error of the class that the server's error has."""
    results: list[PGresult] = yield from execute(pgconn)
    result = results[-1]
    if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        raise psycopg.errors.error_from_result(result)
    return result
