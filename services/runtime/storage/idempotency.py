"""Idempotency-Key: the same key and request give the first answer again, for 24 hours.

A key belongs to one user and one operation. The answer is kept by the transaction that makes what it tells of, so that
there is never one without the other; while that transaction runs, its lock on the key refuses everybody else.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    func,
    select,
)

from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.storage.database import Database, Statement, Transaction, build_batch_delete, build_upsert

TTL = timedelta(hours=24)
"""How long an answer is kept."""

STORED_STATUSES = frozenset({409, 410, 422})
"""The statuses of refusals that are kept: the same request would be refused again."""


def build_keys_table(metadata: MetaData) -> Table:
    """The same table in every service's database that takes keys."""
    return Table(
        "idempotency_keys",
        metadata,
        Column("actor", Text, nullable=False),
        Column("operation", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("refusal", Text),
        Column("answer", LargeBinary, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("actor", "operation", "key"),
        Index("idempotency_keys_by_time", "at"),
    )


class IdempotencyKey(NamedTuple):
    """What a user sent, for which operation ("confirmOrder"), and the request as bytes that are equal when it is."""

    actor: str
    operation: str
    key: str
    request: bytes


class StoredResponse(NamedTuple):
    """An answer, and whether it was given before."""

    response: bytes
    replayed: bool


class _StoredError(msgspec.Struct):
    detail: str
    errors: list[tuple[str, str]]


_table = build_keys_table(MetaData())
_LOCK = Statement(
    select(func.pg_try_advisory_xact_lock(func.hashtextextended(bindparam("key", type_=Text), 0)).label("taken"))
)
_FIND = Statement(
    select(_table.c.fingerprint, _table.c.refusal, _table.c.answer).where(
        _table.c.actor == bindparam("actor"),
        _table.c.operation == bindparam("operation"),
        _table.c.key == bindparam("key"),
        _table.c.at > bindparam("since"),
    )
)
_SAVE = build_upsert(_table)
_DELETE_EXPIRED = build_batch_delete(_table, _table.c.at <= bindparam("before"))


async def run_idempotently(
    database: Database, key: IdempotencyKey | None, work: Callable[[Transaction], Awaitable[bytes]]
) -> StoredResponse:
    """Does the work in a transaction, or gives the first answer to the key; without a key it is just done.

    `work` returns the answer without secrets. Refuses IDEMPOTENCY_KEY_REUSED for another request,
    IDEMPOTENCY_KEY_BUSY while the first is under way, and whatever `work` refuses; final refusals are kept and refused
    again with the header `Idempotency-Replayed`.
    """
    if key is None:
        async with database.transaction() as transaction:
            return StoredResponse(await work(transaction), replayed=False)
    async with database.transaction() as transaction:
        found = await _find(transaction, key)
        if found is not None:
            return StoredResponse(found, replayed=True)
        try:
            # A savepoint: a refused request leaves nothing behind but its refusal.
            async with transaction.savepoint():
                answer = await work(transaction)
        except ApiError as refused:
            if PROBLEMS[refused.reason].status not in STORED_STATUSES:
                raise
            refusal = refused
        else:
            await _save(transaction, key, None, answer)
            return StoredResponse(answer, replayed=False)
        errors = [(error.field, error.message) for error in refusal.errors]
        await _save(transaction, key, refusal.reason, msgspec.json.encode(_StoredError(refusal.detail, errors)))
    raise refusal


async def delete_expired(database: Database) -> int:
    """Forgets some of what is older than its life; returns how many, 0 when there is nothing more."""
    return await database.execute(_DELETE_EXPIRED, before=datetime.now(UTC) - TTL)


async def _find(transaction: Transaction, key: IdempotencyKey) -> bytes | None:
    """The first answer. Raises the first refusal."""
    lock = await transaction.fetch_one(_LOCK, key="\n".join(("idempotency", *key[:3])))
    if lock is None or not lock["taken"]:
        raise ApiError(Reason.IDEMPOTENCY_KEY_BUSY, retry_after=1)
    row = await transaction.fetch_one(
        _FIND, actor=key.actor, operation=key.operation, key=key.key, since=datetime.now(UTC) - TTL
    )
    if row is None:
        return None
    if bytes(row["fingerprint"]) != _hash_request(key):
        raise ApiError(Reason.IDEMPOTENCY_KEY_REUSED)
    answer = bytes(row["answer"])
    if row["refusal"] is None:
        return answer
    kept = msgspec.json.decode(answer, type=_StoredError)
    errors = tuple(FieldError(*error) for error in kept.errors)
    raise ApiError(Reason(row["refusal"]), kept.detail, errors=errors, headers={"Idempotency-Replayed": "true"})


async def _save(transaction: Transaction, key: IdempotencyKey, error_reason: str | None, response: bytes) -> None:
    await transaction.execute(
        _SAVE,
        actor=key.actor,
        operation=key.operation,
        key=key.key,
        fingerprint=_hash_request(key),
        refusal=error_reason,
        answer=response,
        at=datetime.now(UTC),
    )


def _hash_request(key: IdempotencyKey) -> bytes:
    return hashlib.sha256(key.request).digest()
