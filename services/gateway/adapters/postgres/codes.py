"""Verification codes, and requests for them, in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import override

from opentelemetry.trace import SpanKind
from psycopg.types.json import Jsonb

from services.gateway.adapters.postgres import account_statements as statements
from services.gateway.adapters.postgres.locks import GatewayLock
from services.gateway.domain.accounts import MAX_CODE_REQUEST_ATTEMPTS, CodePurpose, CodeRequest, VerificationCode
from services.gateway.usecases.verification_codes import CodeRepository, CodeRequestQueue, CodeRequestRepository
from services.runtime.core.repository import EntityReader
from services.runtime.storage import advisory_lock
from services.runtime.storage.database import Database
from services.runtime.storage.job_queue import JobQueue, Row
from services.runtime.storage.transactions.transaction import Transaction
from services.runtime.telemetry import tracing


class PostgresCodeReader(EntityReader[bytes, VerificationCode]):
    """Read access to codes in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def get(self, key: bytes) -> VerificationCode | None:
        return await self._database.fetch_one(statements.GET_CODE, digest=key)


class PostgresCodeRepository(CodeRepository):
    """Codes of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def add(self, code: VerificationCode) -> None:
        await self._transaction.execute(statements.ADD_CODE, **asdict(code))

    @override
    async def try_lock(self, code: VerificationCode) -> bool:
        lock = GatewayLock.VERIFICATION_CODE
        return (
            await advisory_lock.try_acquire(self._transaction, lock, code.user_id)
            and await self._transaction.fetch_one(statements.FIND_CODE, digest=code.digest) is not None
        )

    @override
    async def delete(self, code: VerificationCode) -> None:
        await self._transaction.execute(statements.DELETE_CODE, digest=code.digest)

    @override
    async def delete_all(self, user_id: str) -> None:
        await self._transaction.execute(statements.DELETE_CODES, user_id=user_id)

    @override
    async def delete_expired(self, user_id: str, now: datetime) -> None:
        await self._transaction.execute(statements.DELETE_EXPIRED_CODES, user_id=user_id, now=now)

    @override
    async def count_valid(self, user_id: str, purpose: CodePurpose, now: datetime) -> int:
        row = await self._transaction.fetch_one(statements.COUNT_VALID_CODES, user_id=user_id, purpose=purpose, now=now)
        return 0 if row is None else row["valid_codes"]


class PostgresCodeRequestRepository(CodeRequestRepository):
    """Code requests of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def add(self, purpose: CodePurpose, email: str, user_id: str | None) -> None:
        trace = Jsonb(tracing.get_context_headers())
        await self._transaction.execute(
            statements.ADD_CODE_REQUEST, purpose=purpose, email=email, user_id=user_id, trace=trace
        )

    @override
    @asynccontextmanager
    async def process(self, request: CodeRequest) -> AsyncIterator[bool]:
        """Delete the request before the block, which is traced by a span linked to the request's trace."""
        with tracing.start_span("process code_requests", SpanKind.CONSUMER, request.trace_context, link=True):
            yield await self._transaction.execute(statements.DELETE_CODE_REQUEST, **_get_lease(request)) > 0


class PostgresCodeRequestQueue(CodeRequestQueue):
    """Queue of due code requests in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs = JobQueue(
            "code_request",
            database,
            statements.CLAIM_CODE_REQUESTS,
            _request_from_row,
            is_exhausted=lambda row, _: row["attempts"] >= MAX_CODE_REQUEST_ATTEMPTS,
            fail=lambda row: database.execute(
                statements.DELETE_CODE_REQUEST, job_id=row["id"], lease_token=row["attempts"]
            ),
        )

    @override
    async def claim(self, size: int, now: datetime, lease_until: datetime) -> list[CodeRequest]:
        return await self._jobs.claim(size, now, lease_until)

    @override
    async def reschedule(self, request: CodeRequest, not_before: datetime) -> None:
        await self._database.execute(statements.RESCHEDULE_CODE_REQUEST, **_get_lease(request), not_before=not_before)

    @override
    async def discard(self, request: CodeRequest) -> None:
        await self._database.execute(statements.DELETE_CODE_REQUEST, **_get_lease(request))


def _request_from_row(row: Row) -> CodeRequest:
    return CodeRequest(
        row["id"], CodePurpose(row["purpose"]), row["email"], row["user_id"], row["attempts"], row["trace"] or {}
    )


def _get_lease(request: CodeRequest) -> dict[str, int]:
    return {"job_id": request.id, "lease_token": request.attempts}
