"""Units of work: one transaction each, which ends with the block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from services.runtime.core.idempotency import IdempotentResponse
from services.runtime.core.unit_of_work import LocksRequired
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement_operations import StatementOperations
from services.runtime.storage.transactions.optimistic_transaction import OptimisticTransaction
from services.runtime.storage.unit_of_work import PostgresIdempotentUnitOfWorkFactory


class FakeDatabase:
    """Records the end of each transaction, which is represented by its number."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    @asynccontextmanager
    async def bind_pooled(self, transaction_type: type[OptimisticTransaction]) -> AsyncIterator[OptimisticTransaction]:
        connection = cast(Any, None)
        yield transaction_type(connection, connection, StatementOperations("library"), is_autocommit=True)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[int]:
        number = len(self.ends)
        self.ends.append("open")
        try:
            yield number
        except BaseException:
            self.ends[number] = "rolled back"
            raise
        self.ends[number] = "committed"


def create_factory(database: FakeDatabase) -> PostgresIdempotentUnitOfWorkFactory[str]:
    def build_unit(transaction: Any) -> str:
        return "unit without locks" if isinstance(transaction, OptimisticTransaction) else f"unit {transaction}"

    return PostgresIdempotentUnitOfWorkFactory(cast(Database, database), build_unit)


async def test_each_unit_of_work_is_one_transaction() -> None:
    database = FakeDatabase()
    factory = create_factory(database)
    async with factory.unit_of_work() as first, factory.unit_of_work() as second:
        assert (first, second) == ("unit 0", "unit 1")
        assert database.ends == ["open", "open"]
    assert database.ends == ["committed", "committed"]


async def test_error_rolls_the_unit_of_work_back() -> None:
    database = FakeDatabase()
    with pytest.raises(ValueError, match="failed"):
        async with create_factory(database).unit_of_work():
            raise ValueError("failed")
    assert database.ends == ["rolled back"]


async def test_operation_runs_once_without_locks() -> None:
    database = FakeDatabase()

    async def operation(unit: str) -> str:
        return f"result of {unit}"

    assert await create_factory(database).run_optimistically(operation) == "result of unit without locks"
    assert database.ends == []


async def test_operation_that_requires_locks_is_repeated_with_locks() -> None:
    database = FakeDatabase()

    async def operation(unit: str) -> str:
        if unit == "unit without locks":
            raise LocksRequired
        return f"result of {unit}"

    assert await create_factory(database).run_optimistically(operation) == "result of unit 0"
    assert database.ends == ["committed"]


async def test_error_without_locks_is_not_repeated() -> None:
    database = FakeDatabase()

    async def operation(unit: str) -> str:
        raise ValueError(unit)

    with pytest.raises(ValueError, match="unit without locks"):
        await create_factory(database).run_optimistically(operation)
    assert database.ends == []


async def test_idempotent_unit_of_work_without_key_has_empty_response() -> None:
    database = FakeDatabase()
    async with create_factory(database).idempotent_unit_of_work(None) as (unit, response):
        assert (unit, response) == ("unit 0", IdempotentResponse())
    assert database.ends == ["committed"]
