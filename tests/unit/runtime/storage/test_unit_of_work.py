"""Units of work: one transaction each, which ends with the block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from services.runtime.core.idempotency import IdempotentResponse
from services.runtime.storage.database import Database
from services.runtime.storage.unit_of_work import PostgresIdempotentUnitOfWorkFactory


class FakeDatabase:
    """Records the end of each transaction, which is represented by its number."""

    def __init__(self) -> None:
        self.ends: list[str] = []

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
        return f"unit {transaction}"

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


async def test_idempotent_unit_of_work_without_key_has_empty_response() -> None:
    database = FakeDatabase()
    async with create_factory(database).idempotent_unit_of_work(None) as (unit, response):
        assert (unit, response) == ("unit 0", IdempotentResponse())
    assert database.ends == ["committed"]
