"""Idempotency keys: which responses are stored and returned again, with a table in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import MetaData

from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.storage import advisory_lock, idempotency
from services.runtime.storage.database import Database
from services.runtime.storage.idempotency import TTL, begin_idempotent_transaction

KEY = IdempotencyKey("u1", "createBank", "k1", b"request")


class FakeDatabase:
    """Table of idempotency keys and one of effects. A failed transaction or savepoint is undone."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.effects: list[str] = []
        self.locked: set[str] = set()
        self.since: datetime | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["FakeDatabase"]:
        async with self._undo_on_error():
            yield self

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        async with self._undo_on_error():
            yield

    @asynccontextmanager
    async def _undo_on_error(self) -> AsyncIterator[None]:
        keys, effects = dict(self.keys), [*self.effects]
        try:
            yield
        except BaseException:
            self.keys, self.effects = keys, effects
            raise

    async def fetch_one(self, statement: Any, **values: Any) -> dict[str, Any] | None:
        if statement is advisory_lock._TRY_ACQUIRE:
            return {"is_acquired": values["name"] not in self.locked}
        self.since = values.pop("since")
        row = self.keys.get((values["actor"], values["operation"], values["key"]))
        if row is None or row["at"] <= self.since:
            return None
        return {name: row[name] for name in ("fingerprint", "error_reason", "response")}

    async def execute(self, statement: Any, **values: Any) -> int:
        if statement is idempotency._SAVE:
            key, since = (values["actor"], values["operation"], values["key"]), values.pop("since")
            if key in self.keys and self.keys[key]["at"] > since:
                return 0
            self.keys[key] = values
            return 1
        before = values["before"]
        expired = [key for key, row in self.keys.items() if row["at"] <= before]
        for key in expired:
            del self.keys[key]
        return len(expired)

    async def run(self, key: IdempotencyKey | None, result: bytes | ApiError = b"response") -> IdempotentResponse:
        """Process a request that has one effect and returns or raises the result."""
        async with begin_idempotent_transaction(cast(Database, self), key) as (transaction, response):
            assert cast(Any, transaction) is self
            if not response.replayed:
                self.effects.append("effect")
                if isinstance(result, ApiError):
                    raise result
                response.data = result
        return response


@pytest.fixture
def database() -> FakeDatabase:
    return FakeDatabase()


async def test_repeated_request_returns_the_stored_response(database: FakeDatabase) -> None:
    assert await database.run(KEY, b"first") == IdempotentResponse(b"first", replayed=False)
    assert await database.run(KEY, b"second") == IdempotentResponse(b"first", replayed=True)
    assert database.effects == ["effect"]


async def test_request_without_key_is_run_each_time(database: FakeDatabase) -> None:
    for _ in range(2):
        assert await database.run(None) == IdempotentResponse(b"response", replayed=False)
    assert len(database.effects) == 2
    assert database.keys == {}


@pytest.mark.parametrize("changes", [{"actor": "u2"}, {"operation": "createPartner"}, {"key": "k2"}])
async def test_key_belongs_to_user_and_operation(database: FakeDatabase, changes: dict[str, str]) -> None:
    await database.run(KEY)
    assert not (await database.run(KEY._replace(**changes))).replayed


async def test_key_of_another_request_is_rejected(database: FakeDatabase) -> None:
    await database.run(KEY)
    with pytest.raises(ApiError) as raised:
        await database.run(KEY._replace(request=b"other"))
    assert raised.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert database.effects == ["effect"]


async def test_concurrent_request_is_rejected_and_can_be_retried(database: FakeDatabase) -> None:
    database.locked.add("idempotency\nu1\ncreateBank\nk1")
    with pytest.raises(ApiError) as raised:
        await database.run(KEY)
    assert (raised.value.reason, raised.value.retry_after) == (Reason.IDEMPOTENCY_KEY_BUSY, 1)
    assert database.effects == []
    await database.run(KEY._replace(key="k2"))


async def test_response_of_a_concurrent_request_without_locks_is_not_replaced(database: FakeDatabase) -> None:
    async def run_beside_another_request() -> None:
        async with begin_idempotent_transaction(cast(Database, database), KEY):
            database.keys[KEY[:3]] = idempotency._build_row(KEY, None, b"first")

    with pytest.raises(ApiError) as raised:
        await run_beside_another_request()
    assert (raised.value.reason, raised.value.retry_after) == (Reason.IDEMPOTENCY_KEY_BUSY, 1)


@pytest.mark.parametrize("reason", Reason)
async def test_only_permanent_errors_are_stored(database: FakeDatabase, reason: Reason) -> None:
    error = ApiError(reason, "a detail", errors=[FieldError("/id", "exists")])
    with pytest.raises(ApiError) as first:
        await database.run(KEY, error)
    assert first.value is error
    assert database.effects == [], "the changes of a failed request are undone"
    assert len(database.keys) == (PROBLEMS[reason].status in (409, 410, 422))


async def test_stored_error_is_raised_again(database: FakeDatabase) -> None:
    error = ApiError(Reason.BANK_EXISTS, "a detail", errors=[FieldError("/id", "exists"), FieldError("/url", "é")])
    for _ in range(2):
        with pytest.raises(ApiError) as raised:
            await database.run(KEY, error)
    assert raised.value is not error
    assert (raised.value.reason, raised.value.detail) == (Reason.BANK_EXISTS, "a detail")
    assert list(raised.value.errors) == list(error.errors)
    assert raised.value.headers == {"Idempotency-Replayed": "true"}


@pytest.mark.parametrize("age", [TTL - timedelta(minutes=1), TTL + timedelta(minutes=1)])
async def test_stored_response_expires(database: FakeDatabase, age: timedelta) -> None:
    await database.run(KEY)
    database.keys[KEY[:3]]["at"] -= age
    assert (await database.run(KEY)).replayed == (age < TTL)


async def test_cleanup_deletes_expired_keys_only(database: FakeDatabase) -> None:
    await database.run(KEY)
    await database.run(KEY._replace(key="k2"))
    database.keys[KEY[:3]]["at"] -= TTL + timedelta(seconds=1)
    assert await idempotency.delete_expired(cast(Database, database)) == 1
    assert [key for _, _, key in database.keys] == ["k2"]


@given(first=st.binary(max_size=8), second=st.binary(max_size=8))
async def test_only_an_equal_request_is_replayed(first: bytes, second: bytes) -> None:
    database = FakeDatabase()
    await database.run(KEY._replace(request=first))
    try:
        replayed = (await database.run(KEY._replace(request=second))).replayed
    except ApiError as error:
        replayed = error.reason is not Reason.IDEMPOTENCY_KEY_REUSED
    assert replayed == (first == second)


def test_table_key_is_user_operation_and_key() -> None:
    table = idempotency.build_keys_table(MetaData())
    assert [column.name for column in table.primary_key.columns] == ["actor", "operation", "key"]
