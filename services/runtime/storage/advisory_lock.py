"""PostgreSQL advisory locks, held until the end of a transaction.

A lock of a transaction is released in any case, also when the process or its connection dies. A session lock is not
offered: if its release fails, the connection returns to the pool and holds the lock for an unlimited time.
"""

from enum import StrEnum, unique

from sqlalchemy import ColumnElement, Connection, Text, bindparam, func, select

from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.transactions.transaction import Transaction


@unique
class AdvisoryLock(StrEnum):
    """Advisory locks of every service; a service defines those of its own in another StrEnum.

    A lock applies to one database, and to the values it is acquired with.
    """

    IDEMPOTENCY_KEY = "idempotency"
    """Values: user id, operation, key."""

    MIGRATIONS = "migrations"


def _build_key(name: ColumnElement[str]) -> ColumnElement[int]:
    return func.hashtextextended(name, 0)


def build_acquisition(name: ColumnElement[str]) -> ColumnElement[None]:
    """Build the expression that does the same as `acquire`, for a name of `build_name`."""
    return func.pg_advisory_xact_lock(_build_key(name))


_name = bindparam("name", type_=Text)
_select_acquired = select(build_acquisition(_name))
_ACQUIRE = Statement(_select_acquired)
_TRY_ACQUIRE = Statement(select(func.pg_try_advisory_xact_lock(_build_key(_name)).label("is_acquired")))


async def acquire(transaction: Transaction, lock: StrEnum, *values: object) -> None:
    """Wait for the lock and hold it until the transaction ends."""
    await transaction.execute(_ACQUIRE, name=build_name(lock, *values))


async def try_acquire(transaction: Transaction, lock: StrEnum, *values: object) -> bool:
    """Hold the lock until the transaction ends, unless another transaction holds it. Return whether it is acquired."""
    row = await transaction.fetch_one(_TRY_ACQUIRE, name=build_name(lock, *values))
    return row is not None and row["is_acquired"]


def acquire_blocking(connection: Connection, lock: StrEnum, *values: object) -> None:
    """Do the same as `acquire` on a blocking connection of SQLAlchemy, which must be in a transaction."""
    connection.execute(_select_acquired, {"name": build_name(lock, *values)})


def build_name(lock: StrEnum, *values: object) -> str:
    """Return the name of a lock with its values."""
    return "\n".join((lock, *map(str, values)))
