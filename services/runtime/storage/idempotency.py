"""Idempotency keys: a repeated request with the same key returns the stored response of the first, for 24 hours.

A key belongs to one user and one operation. The response is stored in the transaction that makes the changes, so that
both are committed together. The primary key allows one response per key: a concurrent transaction that stores another
one fails. In transactions with locks, an advisory lock also rejects other requests before they do their work twice.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.storage import advisory_lock
from services.runtime.storage.advisory_lock import AdvisoryLock
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement, bind_columns, build_batch_delete
from services.runtime.storage.transactions.transaction import Transaction

TTL = timedelta(hours=24)
"""Retention of stored responses."""

STORED_STATUSES = frozenset({409, 410, 422})
"""HTTP statuses of errors that are stored, because a retry of the request would fail again."""


def build_keys_table(metadata: MetaData) -> Table:
    """Define the table `idempotency_keys`, which is the same in the database of every service with keys."""
    return Table(
        "idempotency_keys",
        metadata,
        Column("actor", Text, nullable=False),
        Column("operation", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("error_reason", Text),
        Column("response", LargeBinary, nullable=False),
        Column("at", TIMESTAMPTZ, nullable=False),
        PrimaryKeyConstraint("actor", "operation", "key"),
        Index("idempotency_keys_by_time", "at"),
    )


class _StoredError(msgspec.Struct):
    detail: str
    errors: list[tuple[str, str]]
    members: dict[str, Any] = {}


_table = build_keys_table(MetaData())
_FIND = Statement(
    select(_table.c.fingerprint, _table.c.error_reason, _table.c.response).where(
        _table.c.actor == bindparam("actor"),
        _table.c.operation == bindparam("operation"),
        _table.c.key == bindparam("key"),
        _table.c.at > bindparam("since"),
    )
)
_insertion = insert(_table).values(bind_columns(_table))
_INSERT = Statement(_insertion)
_SAVE = Statement(
    _insertion.on_conflict_do_update(
        index_elements=list(_table.primary_key.columns),
        set_={column.name: _insertion.excluded[column.name] for column in _table.c if not column.primary_key},
        where=_table.c.at <= bindparam("since"),
    )
)
"""Inserts a response, or replaces an expired one."""

_DELETE_EXPIRED = build_batch_delete(_table, _table.c.at <= bindparam("before"))


@asynccontextmanager
async def begin_idempotent_transaction(
    database: Database, key: IdempotencyKey | None
) -> AsyncIterator[tuple[Transaction, IdempotentResponse]]:
    """Open a transaction that processes a request at most once per key.

    Yields the transaction and the response. If the response is replayed, the block must change nothing. Otherwise it
    sets the response, which is stored at its end; without a key, nothing is stored. An error of the block with one of
    the STORED_STATUSES is stored, too: the changes are rolled back, and a repeated request raises the error again, with
    the header `Idempotency-Replayed`.

    Raises ApiError: IDEMPOTENCY_KEY_REUSED for another request with the key, IDEMPOTENCY_KEY_BUSY while the first
    request is in progress, and the stored error.
    """
    response = IdempotentResponse()
    if key is None:
        async with database.transaction() as transaction:
            yield transaction, response
        return
    async with database.transaction() as transaction:
        stored = await _find(transaction, key)
        if stored is not None:
            yield transaction, IdempotentResponse(stored, replayed=True)
            return
        try:
            # The savepoint undoes the changes of a failed request, so that only its error is committed.
            async with transaction.savepoint():
                yield transaction, response
        except ApiError as error:
            if PROBLEMS[error.reason].status not in STORED_STATUSES:
                raise
            api_error = error
        else:
            await _save(transaction, key, None, response.data)
            return
        errors = [(error.field, error.message) for error in api_error.errors]
        await _save(
            transaction,
            key,
            api_error.reason,
            msgspec.json.encode(_StoredError(api_error.detail, errors, dict(api_error.members))),
        )
    raise api_error


def add_response(transaction: Transaction, key: IdempotencyKey, response: bytes) -> None:
    """Store the response of a request in an optimistic transaction, which fails if the key has a response."""
    transaction.defer(_INSERT, **_build_row(key, None, response))


async def delete_expired(database: Database) -> int:
    """Delete a batch of expired keys. Return their number; 0 if no expired key is left."""
    return await database.execute(_DELETE_EXPIRED, before=datetime.now(UTC) - TTL)


async def _find(transaction: Transaction, key: IdempotencyKey) -> bytes | None:
    """Return the stored response, or None. Raises the stored error."""
    if not await advisory_lock.try_acquire(
        transaction, AdvisoryLock.IDEMPOTENCY_KEY, key.actor, key.operation, key.key
    ):
        raise ApiError(Reason.IDEMPOTENCY_KEY_BUSY, retry_after=1)
    row = await transaction.fetch_one(
        _FIND, actor=key.actor, operation=key.operation, key=key.key, since=datetime.now(UTC) - TTL
    )
    if row is None:
        return None
    if bytes(row["fingerprint"]) != _hash_request(key):
        raise ApiError(Reason.IDEMPOTENCY_KEY_REUSED)
    response = bytes(row["response"])
    if row["error_reason"] is None:
        return response
    stored_error = msgspec.json.decode(response, type=_StoredError)
    errors = tuple(FieldError(*error) for error in stored_error.errors)
    headers = {"Idempotency-Replayed": "true"}
    raise ApiError(
        Reason(row["error_reason"]), stored_error.detail, errors=errors, headers=headers, members=stored_error.members
    )


async def _save(transaction: Transaction, key: IdempotencyKey, error_reason: str | None, response: bytes) -> None:
    """Store a response. Raises IDEMPOTENCY_KEY_BUSY if a request without locks has stored one since `_find`."""
    row = _build_row(key, error_reason, response)
    if not await transaction.execute(_SAVE, **row, since=datetime.now(UTC) - TTL):
        raise ApiError(Reason.IDEMPOTENCY_KEY_BUSY, retry_after=1)


def _build_row(key: IdempotencyKey, error_reason: str | None, response: bytes) -> dict[str, Any]:
    return {
        "actor": key.actor,
        "operation": key.operation,
        "key": key.key,
        "fingerprint": _hash_request(key),
        "error_reason": error_reason,
        "response": response,
        "at": datetime.now(UTC),
    }


def _hash_request(key: IdempotencyKey) -> bytes:
    return hashlib.sha256(key.request).digest()
