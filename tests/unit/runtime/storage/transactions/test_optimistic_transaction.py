"""Transactions without locks, on a fake connection: their only statement that changes rows, and what needs locks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import Column, MetaData, Table, Text, bindparam, delete, func, insert, select, update

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.unit_of_work import LocksRequired
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement, build_batch_delete
from services.runtime.storage.statements.statement_operations import StatementOperations
from services.runtime.storage.transactions.optimistic_transaction import (
    OptimisticTransaction,
    begin_optimistic_transaction,
)
from services.runtime.storage.transactions.prepared_statements import StatementResult

loans = Table("loans", MetaData(), Column("id", Text, primary_key=True), Column("state", Text))
SELECT = Statement(select(loans).where(loans.c.id == bindparam("key")))
UPDATE = Statement(update(loans).where(loans.c.id == bindparam("key")).values(state=bindparam("new_state")))
INSERT = Statement(insert(Table("outbox", MetaData(), Column("id", Text))).values(id=bindparam("key")))
CONFLICT = ApiError(Reason.ORDER_STATE_CONFLICT)


class FakeConnection:
    """Connection in autocommit mode that records statements, and fails to execute those that change rows."""

    def __init__(self) -> None:
        self.executed: list[str] = []
        self.error: Exception | None = None

    async def execute(self, sql: bytes, _values: object, *, prepare: bool) -> StatementResult:
        assert prepare
        self.executed.append(" ".join(sql.decode().split()))
        if self.error is not None and sql.startswith(b"WITH"):
            raise self.error
        return StatementResult([{"id": "l1", "state": "requested"}], 1)


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


@pytest.fixture
def database(connection: FakeConnection) -> Database:
    @asynccontextmanager
    async def bind_pooled(transaction_type: type[OptimisticTransaction]) -> AsyncIterator[OptimisticTransaction]:
        transaction = transaction_type(
            cast(Any, connection), cast(Any, connection), StatementOperations("library"), is_autocommit=True
        )
        try:
            yield transaction
        except Exception:
            await transaction.roll_back()
            raise
        await transaction.commit()

    return cast(Database, SimpleNamespace(bind_pooled=bind_pooled))


def change_loan(transaction: OptimisticTransaction) -> None:
    transaction.defer(UPDATE, CONFLICT, key="l1", new_state="lent")
    transaction.defer(INSERT, key="l1")


async def test_writes_are_one_statement_that_fails_without_the_updated_row(
    connection: FakeConnection, database: Database
) -> None:
    hooks: list[str] = []
    async with begin_optimistic_transaction(database) as transaction:
        assert await transaction.fetch_one(SELECT, key="l1") == {"id": "l1", "state": "requested"}
        change_loan(transaction)
        transaction.add_after_commit_hook(lambda: hooks.append("committed"))
        assert hooks == []
    assert hooks == ["committed"]
    _, writes = connection.executed
    assert writes.endswith(" SELECT 1 / (SELECT count(*) FROM s0)")


async def test_transaction_without_writes_executes_its_reads_only(
    connection: FakeConnection, database: Database
) -> None:
    async with begin_optimistic_transaction(database) as transaction:
        await transaction.fetch_one(SELECT, key="l1")
    assert len(connection.executed) == 1


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.DivisionByZero(),
        psycopg.errors.UniqueViolation(),
        psycopg.errors.DeadlockDetected(),
        psycopg.errors.SerializationFailure(),
    ],
)
async def test_conflict_requires_locks_and_runs_no_hook(
    connection: FakeConnection, database: Database, error: Exception
) -> None:
    connection.error = error
    hooks: list[str] = []
    with pytest.raises(LocksRequired):  # noqa: PT012
        async with begin_optimistic_transaction(database) as transaction:
            change_loan(transaction)
            transaction.add_after_commit_hook(lambda: hooks.append("committed"))
    assert hooks == []


async def test_other_error_is_unchanged(connection: FakeConnection, database: Database) -> None:
    connection.error = psycopg.errors.CheckViolation()
    with pytest.raises(psycopg.errors.CheckViolation):
        async with begin_optimistic_transaction(database) as transaction:
            change_loan(transaction)


@pytest.mark.parametrize(
    "statement",
    [
        UPDATE,
        INSERT,
        Statement(delete(loans)),
        Statement(select(loans).with_for_update()),
        Statement(select(loans).with_for_update(read=True)),
        Statement(select(func.pg_advisory_xact_lock(1))),
        Statement(select(func.pg_try_advisory_xact_lock(1))),
        build_batch_delete(loans),
    ],
)
async def test_statement_that_changes_or_locks_requires_locks(
    connection: FakeConnection, database: Database, statement: Statement[Any]
) -> None:
    with pytest.raises(LocksRequired):
        async with begin_optimistic_transaction(database) as transaction:
            await transaction.execute(statement)
    assert connection.executed == []


async def test_read_after_a_write_requires_locks(connection: FakeConnection, database: Database) -> None:
    with pytest.raises(LocksRequired):  # noqa: PT012
        async with begin_optimistic_transaction(database) as transaction:
            change_loan(transaction)
            await transaction.fetch_one(SELECT, key="l1")
    assert connection.executed == []


async def test_writes_that_need_two_statements_require_locks(connection: FakeConnection, database: Database) -> None:
    with pytest.raises(LocksRequired):  # noqa: PT012
        async with begin_optimistic_transaction(database) as transaction:
            change_loan(transaction)
            change_loan(transaction)
    assert connection.executed == []


async def test_savepoint_and_many_rows_require_locks(connection: FakeConnection, database: Database) -> None:
    async with begin_optimistic_transaction(database) as transaction:
        with pytest.raises(LocksRequired):
            await transaction.execute_many(INSERT, [{"key": "l1"}])
        with pytest.raises(LocksRequired):
            async with transaction.savepoint():
                pass
    assert connection.executed == []


async def test_error_of_the_block_executes_no_write(connection: FakeConnection, database: Database) -> None:
    with pytest.raises(ApiError):  # noqa: PT012
        async with begin_optimistic_transaction(database) as transaction:
            change_loan(transaction)
            raise CONFLICT
    assert connection.executed == []
