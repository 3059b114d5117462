"""Prepared statements on a real PostgreSQL, and transactions of services.runtime.storage.transactions.transaction."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Integer, Text, bindparam, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement
from tests.integration.fixtures.servers import Servers

VALUES: dict[str, Any] = {
    "name": "é%s",
    "number": 7,
    "at": datetime(2026, 1, 2, tzinfo=UTC),
    "names": ["a", 'b"', ""],
    "document": {"a": [1, None]},
}
ECHO = Statement(
    select(
        *(
            bindparam(name, type_=kind).label(name)
            for name, kind in (("name", Text), ("number", Integer), ("at", TIMESTAMPTZ), ("names", ARRAY(Text)))
        ),
        bindparam("document", type_=JSONB).label("document"),
        literal("100%").label("constant"),
    )
)
DIVIDE = Statement(select((10 / bindparam("divisor", type_=Integer)).label("quotient")))
ECHO_LIST = Statement(select(bindparam("numbers", type_=ARRAY(BigInteger)).label("numbers")))
CREATE = Statement(text("CREATE TEMP TABLE numbers (number int)"))
INSERT = Statement(text("INSERT INTO numbers SELECT generate_series(1, :count)"))
COUNT_PREPARED = Statement(
    select(func.count().label("count")).select_from(text("pg_prepared_statements")).where(text("NOT from_sql")),
    is_replanned=True,
)


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[Database]:
    """Database with one connection."""
    async with Database(servers.settings("orders")["DATABASE_URL"], max_size=1) as database:
        yield database


async def echo(database: Database, values: dict[str, Any]) -> dict[str, Any] | None:
    document = values["document"]
    return await database.fetch_one(ECHO, **(values | {"document": None if document is None else Jsonb(document)}))


async def count_prepared(database: Database) -> int:
    row = await database.fetch_one(COUNT_PREPARED)
    assert row is not None
    return int(row["count"])


async def test_values_of_all_types_are_returned_unchanged(database: Database) -> None:
    for values in (VALUES, dict.fromkeys(VALUES), VALUES | {"name": None, "number": 2**31 - 1}, VALUES):
        assert await echo(database, values) == values | {"constant": "100%"}


async def test_statement_is_prepared_once_for_the_same_types(database: Database) -> None:
    for _ in range(3):
        await echo(database, VALUES)
        await database.fetch_one(DIVIDE, divisor=2)
    assert await count_prepared(database) == 2
    await echo(database, dict.fromkeys(VALUES))
    assert await count_prepared(database) == 3


async def test_statement_is_prepared_once_for_lists_of_any_numbers(database: Database) -> None:
    for numbers in ([1], [-1, 2**15], [2**31, None], [2**63 - 1], [], [None]):
        assert await database.fetch_one(ECHO_LIST, numbers=numbers) == {"numbers": numbers}
    assert await count_prepared(database) == 1


async def test_rollback_does_not_deallocate_statements(database: Database) -> None:
    for divisor in (0, 5):
        with pytest.raises(KeyError if divisor else ApiError):  # noqa: PT012
            async with database.transaction() as transaction:
                await transaction.fetch_one(DIVIDE, divisor=divisor)
                raise KeyError
    assert await database.fetch_all(DIVIDE, divisor=5) == [{"quotient": 2}]
    assert await count_prepared(database) == 1


async def test_failed_statement_is_rolled_back_to_its_savepoint(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(CREATE)
        assert await transaction.execute(INSERT, count=3) == 3
        with pytest.raises(psycopg.errors.DivisionByZero):  # noqa: PT012
            async with transaction.savepoint():
                await transaction.execute(INSERT, count=2)
                await transaction.fetch_one(DIVIDE, divisor=0)
        assert await transaction.execute(INSERT, count=1) == 1
        await transaction.execute_many(INSERT, [{"count": 5}, {"count": 1}])
        rows = await transaction.fetch_all(Statement(text("SELECT count(*) AS rows FROM numbers")))
    assert rows == [{"rows": 10}]


async def test_failed_preparation_can_be_repeated(database: Database) -> None:
    unknown = Statement(text("SELECT number FROM numbers"))
    for _ in range(2):
        with pytest.raises(psycopg.errors.UndefinedTable):
            await database.fetch_all(unknown)
    await database.execute(CREATE)
    assert await database.fetch_all(unknown) == []


async def test_value_out_of_range_is_an_invalid_request(database: Database) -> None:
    with pytest.raises(ApiError) as raised:
        await echo(database, VALUES | {"number": 2**40})
    assert raised.value.reason is Reason.INVALID_REQUEST
    assert await echo(database, VALUES) is not None


async def test_no_value_for_a_parameter_is_an_error(database: Database) -> None:
    with pytest.raises(KeyError, match="divisor"):
        await database.fetch_one(DIVIDE)
    assert await database.fetch_one(DIVIDE, divisor=10) == {"quotient": 1}
