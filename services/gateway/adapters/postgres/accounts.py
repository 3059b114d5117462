"""Accounts, verification codes and code requests in PostgreSQL."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import override

from opentelemetry.trace import SpanKind
from psycopg.types.json import Jsonb
from sqlalchemy import Boolean, Text, bindparam, cast, delete, func, insert, or_, select, tuple_, update

from generated.events import GatewayEvent
from generated.problems import Reason
from services.gateway.adapters.postgres.tables import accounts, code_requests, codes
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import (
    MAX_VALID_CODES,
    Account,
    AccountFilter,
    AccountState,
    CodePurpose,
    CodeRequest,
    VerificationCode,
)
from services.gateway.usecases.ports import Repository, UnitOfWork
from services.runtime.core.errors import ApiError
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import advisory_lock
from services.runtime.storage.advisory_lock import AdvisoryLock
from services.runtime.storage.database import TIMESTAMPTZ, Database, Statement, Transaction
from services.runtime.telemetry import tracing

_ACCOUNT_FIELDS = [field.name for field in fields(Account)]
_MUTABLE_FIELDS = [name for name in _ACCOUNT_FIELDS if name not in ("id", "created_at")]
_is_active = accounts.c.state == AccountState.ACTIVE

_ADD_ACCOUNT = Statement(insert(accounts).values({name: bindparam(name) for name in _ACCOUNT_FIELDS}))
_ACTIVATE_ACCOUNT = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("user_id"), accounts.c.state == AccountState.CREATING)
    .values(state="active")
)
_DELETE_CODES = Statement(delete(codes).where(codes.c.user_id == bindparam("user_id")))
_DELETE_UNFINISHED_ACCOUNT = Statement(
    delete(accounts).where(accounts.c.id == bindparam("user_id"), accounts.c.state != AccountState.ACTIVE)
)
_GET_ACCOUNT = Statement(select(accounts).where(accounts.c.id == bindparam("user_id"), _is_active), row_type=Account)
_LOCK_ACCOUNT = Statement(
    select(accounts).where(accounts.c.id == bindparam("user_id"), _is_active).with_for_update(key_share=True),
    row_type=Account,
)
_GET_ACCOUNT_BY_EMAIL = Statement(
    select(accounts).where(accounts.c.email == bindparam("email"), _is_active).limit(1), row_type=Account
)
_role_param, _approved_param = cast(bindparam("role"), Text), cast(bindparam("approved"), Boolean)
_prefix_param = cast(bindparam("prefix"), Text)
_LIST_ACCOUNTS = Statement(
    select(accounts)
    .where(
        _is_active,
        tuple_(accounts.c.created_at, accounts.c.id)
        < tuple_(bindparam("before_at", type_=TIMESTAMPTZ), bindparam("before_id", type_=Text)),
        or_(_role_param.is_(None), accounts.c.role == _role_param),
        or_(_approved_param.is_(None), accounts.c.role.is_not(None) == _approved_param),
        or_(
            _prefix_param.is_(None),
            *(
                func.starts_with(func.lower(accounts.c[name]), _prefix_param)
                for name in ("email", "first_name", "last_name")
            ),
        ),
    )
    .order_by(accounts.c.created_at.desc(), accounts.c.id.desc())
    .limit(bindparam("size")),
    row_type=Account,
)
_LIST_UNFINISHED_ACCOUNTS = Statement(
    select(accounts)
    .where(accounts.c.state != AccountState.ACTIVE, accounts.c.created_at < bindparam("before"))
    .order_by(accounts.c.created_at)
    .limit(bindparam("size")),
    row_type=Account,
)
_SAVE_ACCOUNT = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("user_id"))
    .values({name: bindparam(f"new_{name}") for name in _MUTABLE_FIELDS})
)
_LIST_AVATAR_NAMES = Statement(select(accounts.c.avatar).where(accounts.c.avatar.is_not(None)))
_ADD_CODE = Statement(insert(codes).values({field.name: bindparam(field.name) for field in fields(VerificationCode)}))
_DELETE_EXPIRED_CODES = Statement(
    delete(codes).where(codes.c.user_id == bindparam("user_id"), codes.c.expires_at <= bindparam("now"))
)
_COUNT_VALID_CODES = Statement(
    select(func.count().label("valid_codes")).where(
        codes.c.user_id == bindparam("user_id"),
        codes.c.purpose == bindparam("purpose"),
        codes.c.expires_at > bindparam("now"),
    )
)
_GET_CODE = Statement(
    select(codes).where(codes.c.digest == bindparam("digest"), codes.c.expires_at > bindparam("now")),
    row_type=VerificationCode,
)
_FIND_CODE = Statement(select(codes.c.digest).where(codes.c.digest == bindparam("digest")))
_DELETE_CODE = Statement(delete(codes).where(codes.c.digest == bindparam("digest")))
_MARK_EMAIL_VERIFIED = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("user_id"), _is_active)
    .values(
        email=func.coalesce(bindparam("new_email", type_=Text), accounts.c.email),
        email_verified=True,
        version=accounts.c.version + 1,
    )
    .returning(accounts),
    row_type=Account,
)
_ADD_CODE_REQUEST = Statement(
    insert(code_requests).values({name: bindparam(name) for name in ("purpose", "email", "user_id", "trace")})
)
_CLAIM_CODE_REQUESTS = Statement(
    select(code_requests).order_by(code_requests.c.id).limit(bindparam("size")).with_for_update(skip_locked=True)
)
_DELETE_CODE_REQUEST = Statement(delete(code_requests).where(code_requests.c.id == bindparam("request_id")))

_FIRST_PAGE_CURSOR = (datetime.max.replace(tzinfo=UTC), "")


class PostgresUnitOfWork(UnitOfWork):
    """One transaction that processes code requests."""

    def __init__(self, transaction: Transaction, outbox: Outbox[GatewayEvent]) -> None:
        self._transaction = transaction
        self._outbox = outbox

    @override
    async def claim_code_requests(self, size: int) -> Sequence[CodeRequest]:
        rows = await self._transaction.fetch_all(_CLAIM_CODE_REQUESTS, size=size)
        return [
            CodeRequest(row["id"], CodePurpose(row["purpose"]), row["email"], row["user_id"], row["trace"] or {})
            for row in rows
        ]

    @override
    async def get_account_by_email(self, email: str) -> Account | None:
        return await self._transaction.fetch_one(_GET_ACCOUNT_BY_EMAIL, email=email)

    @override
    async def get_account(self, user_id: str) -> Account | None:
        return await self._transaction.fetch_one(_GET_ACCOUNT, user_id=user_id)

    @override
    async def add_code(self, code: VerificationCode, now: datetime) -> bool:
        await self._transaction.execute(_DELETE_EXPIRED_CODES, user_id=code.user_id, now=now)
        row = await self._transaction.fetch_one(_COUNT_VALID_CODES, user_id=code.user_id, purpose=code.purpose, now=now)
        if row is not None and row["valid_codes"] >= MAX_VALID_CODES:
            return False
        await self._transaction.execute(_ADD_CODE, **asdict(code))
        return True

    @override
    async def publish(self, event: GatewayEvent) -> None:
        await self._outbox.add(self._transaction, event)

    @override
    @asynccontextmanager
    async def process_code_request(self, request: CodeRequest) -> AsyncIterator[None]:
        """Delete the request at the end of the block, which is traced by a span linked to the request's trace."""
        with tracing.start_span("process code_requests", SpanKind.CONSUMER, request.trace_context, link=True):
            yield
            await self._transaction.execute(_DELETE_CODE_REQUEST, request_id=request.id)


class PostgresAccountRepository(Repository):
    """Accounts, codes and code requests. Every method but `unit_of_work` is one transaction."""

    def __init__(self, database: Database, outbox: Outbox[GatewayEvent]) -> None:
        self._database = database
        self._outbox = outbox

    @override
    async def add_account(self, account: Account) -> None:
        await self._database.execute(_ADD_ACCOUNT, **asdict(account))

    @override
    async def activate_account(self, account: Account, code: VerificationCode, *events: GatewayEvent) -> None:
        async with self._database.transaction() as transaction:
            if await transaction.execute(_ACTIVATE_ACCOUNT, user_id=account.id):
                await transaction.execute(_ADD_CODE, **asdict(code))
                await self._publish(transaction, events)

    @override
    async def delete_unfinished_account(self, user_id: str) -> None:
        await self._database.execute(_DELETE_UNFINISHED_ACCOUNT, user_id=user_id)

    @override
    async def get_account(self, user_id: str) -> Account | None:
        return await self._database.fetch_one(_GET_ACCOUNT, user_id=user_id)

    @override
    async def get_account_by_email(self, email: str) -> Account | None:
        return await self._database.fetch_one(_GET_ACCOUNT_BY_EMAIL, email=email)

    @override
    async def list_accounts(
        self, size: int, before: tuple[datetime, str] | None, account_filter: AccountFilter
    ) -> list[Account]:
        before_at, before_id = before or _FIRST_PAGE_CURSOR
        prefix = None if account_filter.prefix is None else account_filter.prefix.lower()
        return await self._database.fetch_all(
            _LIST_ACCOUNTS,
            size=size,
            before_at=before_at,
            before_id=before_id,
            role=account_filter.role,
            approved=account_filter.approved,
            prefix=prefix,
        )

    @override
    async def list_unfinished_accounts(self, before: datetime, size: int) -> list[Account]:
        return await self._database.fetch_all(_LIST_UNFINISHED_ACCOUNTS, before=before, size=size)

    @override
    async def change_account(self, user_id: str, change: Callable[[Account], Account]) -> Account | None:
        async with self._database.transaction() as transaction:
            account = await transaction.fetch_one(_LOCK_ACCOUNT, user_id=user_id)
            if account is None:
                return None
            changed = change(account)
            if changed is not account:
                await _save_account(transaction, changed)
                await self._outbox.add(transaction, account_rules.build_user_updated_event(changed))
            return changed

    @override
    async def mark_deleting(self, user_id: str, now: datetime) -> Account | None:
        async with self._database.transaction() as transaction:
            account = await transaction.fetch_one(_LOCK_ACCOUNT, user_id=user_id)
            if account is None:
                return None
            anonymised = account.anonymise()
            await transaction.execute(_DELETE_CODES, user_id=user_id)
            await _save_account(transaction, anonymised)
            await self._outbox.add(transaction, account_rules.build_user_deleted_event(anonymised, now))
            return anonymised

    async def _publish(self, transaction: Transaction, events: Sequence[GatewayEvent]) -> None:
        for event in events:
            await self._outbox.add(transaction, event)

    @override
    async def get_code(self, digest: bytes, now: datetime) -> VerificationCode | None:
        return await self._database.fetch_one(_GET_CODE, digest=digest, now=now)

    @override
    @asynccontextmanager
    async def use_code(self, code: VerificationCode) -> AsyncIterator[None]:
        async with self._database.transaction() as transaction:
            is_locked = await advisory_lock.try_acquire(transaction, AdvisoryLock.VERIFICATION_CODE, code.user_id)
            if not is_locked or await transaction.fetch_one(_FIND_CODE, digest=code.digest) is None:
                raise ApiError(Reason.CODE_INVALID)
            yield
            account = await transaction.fetch_one(_MARK_EMAIL_VERIFIED, user_id=code.user_id, new_email=code.new_email)
            if account is None:
                raise ApiError(Reason.CODE_INVALID)
            if code.purpose is CodePurpose.EMAIL_VERIFICATION:
                await transaction.execute(_DELETE_CODE, digest=code.digest)
            else:
                await transaction.execute(_DELETE_CODES, user_id=code.user_id)
            await self._outbox.add(transaction, account_rules.build_user_updated_event(account))

    @override
    async def delete_code(self, code: VerificationCode) -> None:
        await self._database.execute(_DELETE_CODE, digest=code.digest)

    @override
    async def add_code_request(self, purpose: CodePurpose, email: str, user_id: str | None) -> None:
        await self._database.execute(
            _ADD_CODE_REQUEST, purpose=purpose, email=email, user_id=user_id, trace=Jsonb(tracing.get_context_headers())
        )

    @override
    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[PostgresUnitOfWork]:
        async with self._database.transaction() as transaction:
            yield PostgresUnitOfWork(transaction, self._outbox)

    @override
    async def list_avatar_names(self) -> set[str]:
        return {row["avatar"] for row in await self._database.fetch_all(_LIST_AVATAR_NAMES)}


async def _save_account(transaction: Transaction, account: Account) -> None:
    values = {f"new_{name}": getattr(account, name) for name in _MUTABLE_FIELDS}
    await transaction.execute(_SAVE_ACCOUNT, user_id=account.id, **values)
