"""Transactions, their hooks and errors of the database, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, NamedTuple, Self, cast
from unittest.mock import AsyncMock

import psycopg
import pytest
from psycopg_pool import PoolTimeout
from sqlalchemy import Column, MetaData, Table, Text, bindparam, delete, insert, select, update

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.statements.statement_operations import StatementOperations
from services.runtime.storage.transactions.prepared_statements import StatementResult
from services.runtime.storage.transactions.transaction import Transaction

orders = Table("orders", MetaData(), Column("id", Text, primary_key=True), Column("state", Text))
lines = Table("lines", MetaData(), Column("order_id", Text))


class Order(NamedTuple):
    """Row of the table `orders`."""

    id: str
    state: str


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@database.test:1/orders?sslmode=require", "host=database.test dbname=orders"]
)
def test_namespace_is_database_of_url(url: str) -> None:
    assert Database(url)._operations._namespace == "orders"


class FakeConnection:
    """Connection that records transactions and returns given rows."""

    closed = False

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows
        self.log: list[str] = []
        self.executed: list[tuple[dict[str, Any], bool]] = []
        self.commit_error: Exception | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Record a savepoint."""
        self.log.append("savepoint")
        try:
            yield
        except BaseException:
            self.log.append("rollback to savepoint")
            raise
        self.log.append("release")

    @property
    def statements(self) -> Self:
        return self

    async def run_command(self, sql: bytes) -> None:
        self.log.append(sql.decode().lower())
        if sql == b"COMMIT" and self.commit_error is not None:
            raise self.commit_error

    async def execute(self, _sql: bytes, values: dict[str, Any], *, prepare: bool) -> StatementResult:
        self.executed.append((values, prepare))
        return StatementResult(self.rows, len(self.rows))


class FakePool:
    """Pool with one connection, or an error."""

    def __init__(self, connection: FakeConnection, error: Exception | None = None) -> None:
        self._connection = connection
        self._error = error
        self.used_count = 0

    async def getconn(self) -> FakeConnection:
        if self._error is not None:
            raise self._error
        self.used_count += 1
        return self._connection

    async def putconn(self, connection: FakeConnection) -> None:
        assert connection is self._connection
        self.used_count -= 1


def create_transaction(connection: FakeConnection) -> Transaction:
    return Transaction(cast(Any, connection), cast(Any, connection), StatementOperations("orders"), is_autocommit=True)


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection({"id": "o1", "state": "paid"}, {"id": "o2", "state": "ready"})


@pytest.fixture
def database(connection: FakeConnection) -> Database:
    """Database whose pool has only the fake connection."""
    database = Database("postgresql://database.test/orders")
    database._pool = cast(Any, FakePool(connection))
    return database


def fail_to_connect(database: Database, error: Exception) -> None:
    database._pool = cast(Any, FakePool(FakeConnection(), error))


SELECT = Statement(select(orders).where(orders.c.state == bindparam("state", "paid")), row_type=Order)


async def test_rows_are_fetched_with_default_and_given_parameters(database: Database) -> None:
    assert await database.fetch_all(SELECT) == [Order("o1", "paid"), Order("o2", "ready")]
    assert await database.fetch_one(SELECT) == Order("o1", "paid")
    assert await database.execute(SELECT) == 2


async def test_given_parameter_replaces_the_default(connection: FakeConnection, database: Database) -> None:
    await database.fetch_all(SELECT, state="ready", id="o1")
    assert connection.executed == [({"state": "ready", "id": "o1"}, True)]


async def test_no_row_is_none() -> None:
    assert await create_transaction(FakeConnection()).fetch_one(SELECT) is None


@pytest.mark.parametrize("is_replanned", [False, True])
async def test_replanned_statement_is_not_prepared(connection: FakeConnection, is_replanned: bool) -> None:
    await create_transaction(connection).execute(Statement(select(orders), is_replanned=is_replanned))
    assert connection.executed == [({}, not is_replanned)]


async def test_hooks_run_in_order_after_the_commit(connection: FakeConnection, database: Database) -> None:
    async with database.transaction() as transaction:
        for name in "ab":
            transaction.add_after_commit_hook(lambda name=name: connection.log.append(name))
        await transaction.execute(SELECT)
    assert connection.log == ["begin", "commit", "a", "b"]


@pytest.mark.parametrize("is_failing_commit", [False, True])
async def test_hooks_do_not_run_without_commit(
    connection: FakeConnection, database: Database, is_failing_commit: bool
) -> None:
    connection.commit_error = KeyError("commit") if is_failing_commit else None
    with pytest.raises(KeyError):  # noqa: PT012
        async with database.transaction() as transaction:
            transaction.add_after_commit_hook(lambda: connection.log.append("hook"))
            await transaction.execute(SELECT)
            if not is_failing_commit:
                raise KeyError("work")
    assert "hook" not in connection.log


async def test_transaction_on_lost_connection_raises(connection: FakeConnection, database: Database) -> None:
    connection.commit_error = psycopg.OperationalError("the connection is closed")
    with pytest.raises(ApiError) as raised:  # noqa: PT012
        async with database.transaction() as transaction:
            transaction.add_after_commit_hook(lambda: connection.log.append("hook"))
            await transaction.execute(SELECT)
            connection.closed = True
    assert raised.value.reason == Reason.UPSTREAM_UNAVAILABLE
    assert "hook" not in connection.log


async def test_savepoint_discards_its_hooks_on_error(connection: FakeConnection) -> None:
    transaction = create_transaction(connection)
    ran: list[str] = []
    transaction.add_after_commit_hook(lambda: ran.append("before"))
    async with transaction.savepoint():
        transaction.add_after_commit_hook(lambda: ran.append("kept"))
    with pytest.raises(KeyError):  # noqa: PT012
        async with transaction.savepoint():
            transaction.add_after_commit_hook(lambda: ran.append("discarded"))
            raise KeyError
    transaction.run_after_commit_hooks()
    assert ran == ["before", "kept"]
    assert connection.log == ["savepoint", "release", "savepoint", "rollback to savepoint"]


UPDATE = Statement(update(orders).where(orders.c.id == bindparam("key")).values(state=bindparam("new_state")))
INSERT = Statement(insert(lines).values(order_id=bindparam("key")))
CONFLICT = ApiError(Reason.ORDER_STATE_CONFLICT)


async def test_deferred_statements_are_combined_before_the_commit(
    connection: FakeConnection, database: Database
) -> None:
    connection.rows = ({"row_counts": [1, 1]},)
    async with database.transaction() as transaction:
        transaction.defer(UPDATE, CONFLICT, key="o1", new_state="paid")
        transaction.defer(INSERT, key="o1")
        assert connection.executed == []
    assert connection.executed == [({"p0_key": "o1", "p0_new_state": "paid", "p1_key": "o1"}, True)]
    assert connection.log == ["begin", "commit"]


async def test_transaction_without_statement_does_not_begin(connection: FakeConnection, database: Database) -> None:
    async with database.transaction():
        pass
    assert connection.log == []


@pytest.mark.parametrize("count", [1, 2])
async def test_deferred_statements_are_one_transaction_themselves(
    connection: FakeConnection, database: Database, count: int
) -> None:
    connection.rows = ({"row_counts": [1] * count},)
    async with database.transaction() as transaction:
        for key in "ab"[:count]:
            transaction.defer(INSERT, key=key)
    assert len(connection.executed) == 1
    assert connection.log == []


async def test_deferred_statement_with_row_error_can_be_a_transaction(
    connection: FakeConnection, database: Database
) -> None:
    async with database.transaction() as transaction:
        transaction.defer(UPDATE, CONFLICT, key="o1", new_state="paid")
    assert connection.log == []


async def test_deferred_statements_on_one_table_share_a_transaction(
    connection: FakeConnection, database: Database
) -> None:
    async with database.transaction() as transaction:
        for key in "ab":
            transaction.defer(UPDATE, key=key, new_state="paid")
    assert len(connection.executed) == 2
    assert connection.log == ["begin", "commit"]


@pytest.fixture
def insertions(connection: FakeConnection, database: Database) -> list[str]:
    """List of insertions into the table `lines` that were reported, which is also the log of the connection."""
    database.set_insertion_hook("lines", lambda: connection.log.append("inserted"))
    return connection.log


async def test_insertion_is_reported_after_the_commit(insertions: list[str], database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(INSERT, key="o1")
        assert insertions == ["begin"]
    assert insertions == ["begin", "commit", "inserted"]


async def test_insertion_of_combined_statement_is_reported(
    connection: FakeConnection, insertions: list[str], database: Database
) -> None:
    connection.rows = ({"row_counts": [1, 1]},)
    async with database.transaction() as transaction:
        transaction.defer(UPDATE, key="o1", new_state="paid")
        transaction.defer(INSERT, key="o1")
    assert insertions == ["inserted"]


async def test_insertion_in_autocommit_mode_is_reported_before_an_error(
    insertions: list[str], database: Database
) -> None:
    with pytest.raises(KeyError):  # noqa: PT012
        async with database.connection() as connection:
            await connection.execute(INSERT, key="o1")
            raise KeyError
    assert insertions == ["inserted"]


async def test_insertion_that_is_rolled_back_is_not_reported(insertions: list[str], database: Database) -> None:
    with pytest.raises(KeyError):  # noqa: PT012
        async with database.transaction() as transaction:
            await transaction.execute(INSERT, key="o1")
            raise KeyError
    assert insertions == ["begin", "rollback"]


@pytest.mark.parametrize("statement", [UPDATE, Statement(delete(lines)), Statement(insert(orders).values(id="1"))])
async def test_statement_without_insertion_into_the_table_is_not_reported(
    insertions: list[str], database: Database, statement: Statement[Any]
) -> None:
    await database.execute(statement, key="o1", new_state="paid")
    assert insertions == []


async def test_deferred_statement_runs_before_the_next_one(connection: FakeConnection, database: Database) -> None:
    async with database.connection() as transaction:
        transaction.defer(INSERT, key="o1")
        await transaction.fetch_all(SELECT)
    assert connection.executed == [({"key": "o1"}, True), ({"state": "paid"}, True)]


@pytest.mark.parametrize("row_counts", [[0], [0, 1]])
async def test_deferred_statement_without_row_raises_its_error(
    connection: FakeConnection, database: Database, row_counts: list[int]
) -> None:
    is_combined = len(row_counts) > 1
    connection.rows = ({"row_counts": row_counts},) if is_combined else ()
    with pytest.raises(ApiError) as raised:  # noqa: PT012
        async with database.transaction() as transaction:
            transaction.defer(UPDATE, CONFLICT, key="o1", new_state="paid")
            if is_combined:
                transaction.defer(INSERT, key="o1")
    assert raised.value is CONFLICT
    assert connection.log == (["begin", "rollback"] if is_combined else [])


async def test_savepoint_executes_or_discards_its_deferred_statements(connection: FakeConnection) -> None:
    transaction = create_transaction(connection)
    transaction.defer(INSERT, key="before")
    async with transaction.savepoint():
        transaction.defer(INSERT, key="inside")
    with pytest.raises(KeyError):  # noqa: PT012
        async with transaction.savepoint():
            transaction.defer(INSERT, key="discarded")
            raise KeyError
    await transaction.flush()
    assert [parameters["key"] for parameters, _ in connection.executed] == ["before", "inside"]


@pytest.mark.parametrize("fails_at", ["never", "statement", "commit", "rollback"])
async def test_connection_is_returned_to_the_pool(
    connection: FakeConnection, database: Database, fails_at: str
) -> None:
    connection.commit_error = KeyError("commit") if fails_at == "commit" else None
    pool = cast(FakePool, database._pool)

    async def work() -> None:
        async with database.transaction() as transaction:
            assert pool.used_count == 1
            await transaction.execute(SELECT)
            if fails_at == "rollback":
                connection.run_command = AsyncMock(side_effect=psycopg.OperationalError)  # type: ignore[method-assign]
            if fails_at in ("statement", "rollback"):
                raise KeyError("statement")

    with nullcontext() if fails_at == "never" else pytest.raises(KeyError):
        await work()
    assert pool.used_count == 0


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError("gone"), psycopg.InterfaceError("closed"), PoolTimeout("full")]
)
async def test_unavailable_database_can_be_retried(database: Database, error: Exception) -> None:
    fail_to_connect(database, error)
    with pytest.raises(ApiError) as raised:
        await database.fetch_all(SELECT)
    assert (raised.value.reason, raised.value.retry_after) == (Reason.UPSTREAM_UNAVAILABLE, 2)
    with pytest.raises(ApiError):
        async with database.transaction():
            pass


async def test_value_that_cannot_be_stored_is_an_invalid_request(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ApiError) as raised:
        async with database.transaction():
            raise psycopg.DataError("invalid byte sequence: a secret")
    assert raised.value.reason is Reason.INVALID_REQUEST
    assert "secret" not in raised.value.detail + caplog.text


@pytest.mark.parametrize(
    "error", [psycopg.errors.UniqueViolation(), psycopg.errors.CheckViolation(), ApiError(Reason.ORDER_NOT_FOUND)]
)
async def test_other_errors_are_unchanged(connection: FakeConnection, database: Database, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:  # noqa: PT012
        async with database.transaction() as transaction:
            await transaction.execute(SELECT)
            raise error
    assert raised.value is error
    assert connection.log == ["begin", "rollback"]
