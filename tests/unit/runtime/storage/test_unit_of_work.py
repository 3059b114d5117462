"""Units of work: one transaction each, which ends with the block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.unit_of_work import LocksRequired
from services.runtime.storage import unit_of_work
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


KEY = IdempotencyKey("u1", "startLoan", "k1", b"request")


@pytest.fixture
def locked_responses(monkeypatch: pytest.MonkeyPatch) -> list[IdempotentResponse]:
    """Responses of transactions with locks, which begin with those that are stored."""
    responses = [IdempotentResponse()]

    @asynccontextmanager
    async def begin(database: Any, key: IdempotencyKey) -> AsyncIterator[tuple[str, IdempotentResponse]]:
        assert key is KEY
        async with database.transaction() as transaction:
            yield transaction, responses[-1]

    monkeypatch.setattr(unit_of_work, "begin_idempotent_transaction", begin)
    return responses


@pytest.fixture
def added_responses(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Responses that are added without locks."""
    responses: list[bytes] = []
    monkeypatch.setattr(unit_of_work, "add_response", lambda _, key, data: responses.append(data))
    return responses


async def run_with_key(database: FakeDatabase, key: IdempotencyKey | None, failure: Exception | None = None) -> str:
    async def operation(unit: str) -> bytes:
        if failure is not None and unit == "unit without locks":
            raise failure
        return unit.encode()

    response = await create_factory(database).run_idempotently(key, operation)
    return f"{response.data.decode()}{' replayed' if response.replayed else ''}"


async def test_request_without_key_stores_no_response(added_responses: list[bytes]) -> None:
    assert await run_with_key(FakeDatabase(), None) == "unit without locks"
    assert added_responses == []


async def test_new_key_stores_its_response_without_locks(added_responses: list[bytes]) -> None:
    database = FakeDatabase()
    assert await run_with_key(database, KEY) == "unit without locks"
    assert (added_responses, database.ends) == ([b"unit without locks"], [])


@pytest.mark.parametrize("failure", [LocksRequired(), ApiError(Reason.BANK_UNAVAILABLE)])
async def test_request_that_fails_without_locks_is_repeated_with_locks(
    locked_responses: list[IdempotentResponse], added_responses: list[bytes], failure: Exception
) -> None:
    database = FakeDatabase()
    assert await run_with_key(database, KEY, failure) == "unit 0"
    assert (added_responses, database.ends) == ([], ["committed"])


async def test_stored_response_replaces_an_error_without_locks(locked_responses: list[IdempotentResponse]) -> None:
    locked_responses.append(IdempotentResponse(b"stored", replayed=True))
    assert await run_with_key(FakeDatabase(), KEY, ApiError(Reason.BANK_UNAVAILABLE)) == "stored replayed"


async def test_idempotent_unit_of_work_without_key_has_empty_response() -> None:
    database = FakeDatabase()
    async with create_factory(database).idempotent_unit_of_work(None) as (unit, response):
        assert (unit, response) == ("unit 0", IdempotentResponse())
    assert database.ends == ["committed"]
