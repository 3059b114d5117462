"""Requests for verification codes in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import override

from opentelemetry.trace import SpanKind

from generated.events import GatewayEvent
from services.gateway.adapters.postgres import account_statements as statements
from services.gateway.domain.accounts import MAX_VALID_CODES, Account, CodePurpose, CodeRequest, VerificationCode
from services.gateway.usecases.verification_codes import CodeRequestUnitOfWork
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.database import Transaction
from services.runtime.telemetry import tracing


class PostgresCodeRequestUnitOfWork(CodeRequestUnitOfWork):
    """One transaction that processes code requests."""

    def __init__(self, transaction: Transaction, outbox: Outbox[GatewayEvent]) -> None:
        self._transaction = transaction
        self._outbox = outbox

    @override
    async def claim_code_requests(self, size: int) -> Sequence[CodeRequest]:
        rows = await self._transaction.fetch_all(statements.CLAIM_CODE_REQUESTS, size=size)
        return [
            CodeRequest(row["id"], CodePurpose(row["purpose"]), row["email"], row["user_id"], row["trace"] or {})
            for row in rows
        ]

    @override
    async def get_account_by_email(self, email: str) -> Account | None:
        return await self._transaction.fetch_one(statements.GET_ACCOUNT_BY_EMAIL, email=email)

    @override
    async def get_account(self, user_id: str) -> Account | None:
        return await self._transaction.fetch_one(statements.GET_ACCOUNT, user_id=user_id)

    @override
    async def check_code_limit(self, user_id: str, purpose: CodePurpose, now: datetime) -> bool:
        await self._transaction.execute(statements.DELETE_EXPIRED_CODES, user_id=user_id, now=now)
        row = await self._transaction.fetch_one(statements.COUNT_VALID_CODES, user_id=user_id, purpose=purpose, now=now)
        return row is None or row["valid_codes"] < MAX_VALID_CODES

    @override
    async def add_code(self, code: VerificationCode) -> None:
        await self._transaction.execute(statements.ADD_CODE, **asdict(code))

    @override
    async def publish(self, event: GatewayEvent) -> None:
        await self._outbox.add(self._transaction, event)

    @override
    @asynccontextmanager
    async def process_code_request(self, request: CodeRequest) -> AsyncIterator[None]:
        """Delete the request at the end of the block, which is traced by a span linked to the request's trace."""
        with tracing.start_span("process code_requests", SpanKind.CONSUMER, request.trace_context, link=True):
            yield
            await self._transaction.execute(statements.DELETE_CODE_REQUEST, request_id=request.id)
