"""Advisory locks on a real PostgreSQL: exclusion, waiting and release."""

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine

from generated.problems import Reason
from services.gateway.adapters.postgres.locks import GatewayLock
from services.orders.adapters.postgres.locks import OrdersLock
from services.partners.adapters.postgres.locks import PartnersLock
from services.runtime.core.errors import ApiError
from services.runtime.storage import advisory_lock
from services.runtime.storage.advisory_lock import AdvisoryLock
from services.runtime.storage.database import Database
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

LOCKS: list[StrEnum] = [*AdvisoryLock, *GatewayLock, *OrdersLock, *PartnersLock]


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[Database]:
    async with Database(servers.settings("orders")["DATABASE_URL"]) as database:
        yield database


async def is_free(database: Database, lock: StrEnum, *values: object) -> bool:
    async with database.transaction() as transaction:
        return await advisory_lock.try_acquire(transaction, lock, *values)


async def count_waiting_backends(database: Database) -> int:
    async with database.connection() as connection:
        cursor = await connection.connection.execute(
            "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        )
        row = await cursor.fetchone()
    return 0 if row is None else int(row["n"])


async def test_lock_is_exclusive_until_transaction_ends(database: Database) -> None:
    async with database.transaction() as transaction:
        await advisory_lock.acquire(transaction, OrdersLock.PAYMENT, "visa", "p1")
        assert await advisory_lock.try_acquire(transaction, OrdersLock.PAYMENT, "visa", "p1")
        assert not await is_free(database, OrdersLock.PAYMENT, "visa", "p1")
    assert await is_free(database, OrdersLock.PAYMENT, "visa", "p1")


@pytest.mark.parametrize("lock", LOCKS)
async def test_locks_and_values_are_independent(database: Database, lock: StrEnum) -> None:
    others = [other for other in LOCKS if other is not lock]
    async with database.transaction() as transaction:
        assert await advisory_lock.try_acquire(transaction, lock, 1, 2)
        assert not await is_free(database, lock, 1, 2)
        assert [await is_free(database, other, 1, 2) for other in others] == [True] * len(others)
        assert [await is_free(database, lock, *values) for values in ((), (1,), (2, 1), (12,))] == [True] * 4


async def test_failed_transaction_releases_lock(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as transaction:
            await advisory_lock.acquire(transaction, OrdersLock.RECONCILIATION)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await is_free(database, OrdersLock.RECONCILIATION)


async def test_killed_backend_releases_lock(database: Database) -> None:
    async def is_released() -> bool:
        return await is_free(database, OrdersLock.RECONCILIATION)

    async def lose_connection() -> None:
        async with database.transaction() as transaction:
            await advisory_lock.acquire(transaction, OrdersLock.RECONCILIATION)
            async with await psycopg.AsyncConnection.connect(database.url) as other:
                await other.execute("SELECT pg_terminate_backend(%s)", [transaction.connection.info.backend_pid])
            await wait_until_async(is_released)

    with pytest.raises(ApiError) as error:
        await lose_connection()
    assert error.value.reason is Reason.UPSTREAM_UNAVAILABLE


async def test_acquire_waits_for_end_of_other_transaction(database: Database) -> None:
    events: list[str] = []

    async def wait_for_lock() -> None:
        async with database.transaction() as transaction:
            await advisory_lock.acquire(transaction, PartnersLock.ORDER_CALLS, "o1")
            events.append("acquired")

    async def is_waiting() -> bool:
        return await count_waiting_backends(database) == 1

    async with database.transaction() as transaction:
        await advisory_lock.acquire(transaction, PartnersLock.ORDER_CALLS, "o1")
        waiting = asyncio.create_task(wait_for_lock())
        await wait_until_async(is_waiting)
        events.append("released")
    await waiting
    assert events == ["released", "acquired"]


async def test_blocking_connection_uses_same_locks(database: Database) -> None:
    engine = create_engine(database.url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)

    def acquire() -> None:
        with engine.begin() as connection:
            advisory_lock.acquire_blocking(connection, AdvisoryLock.MIGRATIONS)

    async def is_waiting() -> bool:
        return await count_waiting_backends(database) == 1

    async with database.transaction() as transaction:
        await advisory_lock.acquire(transaction, AdvisoryLock.MIGRATIONS)
        waiting = asyncio.create_task(asyncio.to_thread(acquire))
        await wait_until_async(is_waiting)
    await waiting
    with engine.begin() as connection:
        advisory_lock.acquire_blocking(connection, AdvisoryLock.MIGRATIONS)
        assert not await is_free(database, AdvisoryLock.MIGRATIONS)
