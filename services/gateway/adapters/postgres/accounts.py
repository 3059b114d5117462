"""Accounts and verification codes in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import override

from psycopg.types.json import Jsonb

from generated.events import GatewayEvent
from generated.problems import Reason
from services.gateway.adapters.postgres import account_statements as statements
from services.gateway.adapters.postgres import token_revocations
from services.gateway.adapters.postgres.code_requests import PostgresCodeRequestUnitOfWork
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import Account, AccountFilter, CodePurpose, VerificationCode
from services.gateway.usecases.accounts import AccountRepository
from services.gateway.usecases.token_revocations import MAX_TOKEN_LIFETIME, TokenRevocation
from services.gateway.usecases.verification_codes import CodeRequestRepository
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import advisory_lock
from services.runtime.storage.advisory_lock import AdvisoryLock
from services.runtime.storage.database import Database, Transaction
from services.runtime.telemetry import tracing

MAX_CODES_IN_USE = 3
"""Maximum number of codes in use at a time. Each holds a connection during a call of the identity provider."""

_FIRST_PAGE_CURSOR = (datetime.max.replace(tzinfo=UTC), "")


class PostgresAccountRepository(AccountRepository, CodeRequestRepository):
    """Accounts, codes and code requests. Every method but `unit_of_work` is one transaction.

    `on_tokens_revoked` is called after the commit of a revocation, which the process must not learn later than others.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox[GatewayEvent],
        on_tokens_revoked: Callable[[TokenRevocation], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._on_tokens_revoked = on_tokens_revoked
        self._code_slots = asyncio.Semaphore(MAX_CODES_IN_USE)

    @override
    async def add_account(self, account: Account) -> None:
        await self._database.execute(statements.ADD_ACCOUNT, **asdict(account))

    @override
    async def activate_account(self, account: Account, code: VerificationCode, *events: GatewayEvent) -> None:
        async with self._database.transaction() as transaction:
            if await transaction.execute(statements.ACTIVATE_ACCOUNT, user_id=account.id):
                await transaction.execute(statements.ADD_CODE, **asdict(code))
                await self._publish(transaction, events)

    @override
    async def delete_unfinished_account(self, user_id: str) -> None:
        await self._database.execute(statements.DELETE_UNFINISHED_ACCOUNT, user_id=user_id)

    @override
    async def get_account(self, user_id: str) -> Account | None:
        return await self._database.fetch_one(statements.GET_ACCOUNT, user_id=user_id)

    @override
    async def get_account_by_email(self, email: str) -> Account | None:
        return await self._database.fetch_one(statements.GET_ACCOUNT_BY_EMAIL, email=email)

    @override
    async def list_accounts(
        self, size: int, before: tuple[datetime, str] | None, account_filter: AccountFilter
    ) -> list[Account]:
        before_at, before_id = before or _FIRST_PAGE_CURSOR
        return await self._database.fetch_all(
            statements.LIST_ACCOUNTS,
            size=size,
            before_at=before_at,
            before_id=before_id,
            role=account_filter.role,
            approved=account_filter.approved,
            prefix=account_filter.prefix,
        )

    @override
    async def list_unfinished_accounts(self, before: datetime, size: int) -> list[Account]:
        return await self._database.fetch_all(statements.LIST_UNFINISHED_ACCOUNTS, before=before, size=size)

    @override
    async def change_account(
        self, user_id: str, change: Callable[[Account], Account], *, revoke_tokens: bool = False
    ) -> Account | None:
        async with self._database.transaction() as transaction:
            account = await transaction.fetch_one(statements.LOCK_ACCOUNT, user_id=user_id)
            if account is None:
                return None
            changed = change(account)
            if changed is not account:
                await _save_account(transaction, changed)
                await self._outbox.add(transaction, account_rules.build_user_updated_event(changed))
            if revoke_tokens:
                await self._revoke_tokens(transaction, user_id, now())
            return changed

    @override
    async def mark_deleting(self, user_id: str, at: datetime) -> Account | None:
        async with self._database.transaction() as transaction:
            account = await transaction.fetch_one(statements.LOCK_ACCOUNT, user_id=user_id)
            if account is None:
                return None
            anonymised = account.anonymise()
            await transaction.execute(statements.DELETE_CODES, user_id=user_id)
            await _save_account(transaction, anonymised)
            deleted = account_rules.build_user_deleted_event(anonymised, at)
            await self._publish(transaction, (deleted, account_rules.build_account_deleted_mail(account)))
            # The identity provider may issue tokens until it has deleted the account.
            await self._revoke_tokens(transaction, user_id, now() + MAX_TOKEN_LIFETIME)
            return anonymised

    @override
    async def revoke_tokens(self, user_id: str, revoked_at: datetime, *events: GatewayEvent) -> None:
        async with self._database.transaction() as transaction:
            await self._revoke_tokens(transaction, user_id, revoked_at)
            await self._publish(transaction, events)

    async def _revoke_tokens(self, transaction: Transaction, user_id: str, revoked_at: datetime) -> None:
        revocation = TokenRevocation(user_id, revoked_at)
        await token_revocations.revoke(transaction, revocation)
        transaction.add_after_commit_hook(lambda: self._on_tokens_revoked(revocation))

    async def _publish(self, transaction: Transaction, events: Sequence[GatewayEvent]) -> None:
        for event in events:
            await self._outbox.add(transaction, event)

    @override
    async def get_code(self, digest: bytes, now: datetime) -> VerificationCode | None:
        return await self._database.fetch_one(statements.GET_CODE, digest=digest, now=now)

    @override
    @asynccontextmanager
    async def use_code(self, code: VerificationCode) -> AsyncIterator[None]:
        async with self._code_slots, self._database.transaction() as transaction:
            is_locked = await advisory_lock.try_acquire(transaction, AdvisoryLock.VERIFICATION_CODE, code.user_id)
            if not is_locked or await transaction.fetch_one(statements.FIND_CODE, digest=code.digest) is None:
                raise ApiError(Reason.CODE_INVALID)
            yield
            before = await transaction.fetch_one(statements.LOCK_ACCOUNT, user_id=code.user_id)
            if before is None:
                raise ApiError(Reason.CODE_INVALID)
            account = before.with_changes(email=code.new_email or before.email, email_verified=True)
            await _save_account(transaction, account)
            if code.purpose is CodePurpose.EMAIL_VERIFICATION:
                await transaction.execute(statements.DELETE_CODE, digest=code.digest)
            else:
                await transaction.execute(statements.DELETE_CODES, user_id=code.user_id)
            if code.purpose is CodePurpose.PASSWORD_RESET:
                await self._revoke_tokens(transaction, code.user_id, now())
            await self._publish(transaction, account_rules.build_code_used_events(code, before, account))

    @override
    async def delete_code(self, code: VerificationCode) -> None:
        await self._database.execute(statements.DELETE_CODE, digest=code.digest)

    @override
    async def add_code_request(self, purpose: CodePurpose, email: str, user_id: str | None) -> None:
        await self._database.execute(
            statements.ADD_CODE_REQUEST,
            purpose=purpose,
            email=email,
            user_id=user_id,
            trace=Jsonb(tracing.get_context_headers()),
        )

    @override
    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[PostgresCodeRequestUnitOfWork]:
        async with self._database.transaction() as transaction:
            yield PostgresCodeRequestUnitOfWork(transaction, self._outbox)

    @override
    async def list_avatar_names(self) -> set[str]:
        return {row["avatar"] for row in await self._database.fetch_all(statements.LIST_AVATAR_NAMES)}


async def _save_account(transaction: Transaction, account: Account) -> None:
    values = {f"new_{name}": getattr(account, name) for name in statements.MUTABLE_FIELDS}
    await transaction.execute(statements.SAVE_ACCOUNT, user_id=account.id, **values)
