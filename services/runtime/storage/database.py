"""PostgreSQL: a service's database, with its statements and transactions."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Self

import msgspec
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow
from psycopg.types.json import set_json_dumps, set_json_loads

from services.runtime.storage.connection_pool import create_pool
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.statements.statement_operations import StatementOperations
from services.runtime.storage.transactions.prepared_statements import PreparedStatements
from services.runtime.storage.transactions.transaction import PooledTransaction, Transaction

set_json_dumps(msgspec.json.encode)
set_json_loads(msgspec.json.decode)


class Database:
    """Connection pool of a service's database. `settings` are further settings of its sessions."""

    def __init__(self, url: str, *, max_size: int = 8, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.url = url
        self._operations = StatementOperations(str(conninfo_to_dict(url).get("dbname", "")))
        self._pool = create_pool(url, max_size, settings)

    async def __aenter__(self) -> Self:
        """Open the pool. It connects in the background, and reconnects when the server is available again."""
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._pool.close(timeout=2)

    def set_insertion_hook(self, table: str, hook: Callable[[], None]) -> None:
        """Run the hook after each commit of an insertion into the table by this object."""
        self._operations.insertion_hooks[table] = hook

    def bind(self, connection: AsyncConnection[DictRow]) -> Transaction:
        """Return an interface for statements on a connection that does not belong to the pool."""
        statements = PreparedStatements(connection, may_prepare=False)
        return Transaction(connection, statements, self._operations, is_autocommit=True)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Run the block in a transaction, which is rolled back if it raises.

        Raises ApiError: UPSTREAM_UNAVAILABLE, INVALID_REQUEST.
        """
        return PooledTransaction(self._pool, self._operations, Transaction, is_autocommit=False)

    def bind_pooled[T: Transaction](self, transaction_type: type[T]) -> AbstractAsyncContextManager[T]:
        """Return a transaction of this type in autocommit mode. Raises the errors of `transaction`."""
        return PooledTransaction(self._pool, self._operations, transaction_type, is_autocommit=True)

    def connection(self) -> AbstractAsyncContextManager[Transaction]:
        """Yield a connection in autocommit mode, for independent statements. Raises the errors of `transaction`."""
        return PooledTransaction(self._pool, self._operations, Transaction, is_autocommit=True)

    async def fetch_all[Row](self, statement: Statement[Row], **values: Any) -> list[Row]:
        """Return all rows of a statement."""
        async with self.connection() as connection:
            return await connection.fetch_all(statement, **values)

    async def fetch_one[Row](self, statement: Statement[Row], **values: Any) -> Row | None:
        """Return the first row of a statement, or None."""
        async with self.connection() as connection:
            return await connection.fetch_one(statement, **values)

    async def execute(self, statement: Statement[Any], **values: Any) -> int:
        """Return the number of rows affected by a statement."""
        async with self.connection() as connection:
            return await connection.execute(statement, **values)
