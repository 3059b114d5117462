"""Profiles, codes and requests for codes in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime

from psycopg.types.json import Jsonb
from sqlalchemy import Boolean, Text, bindparam, cast, delete, func, insert, or_, select, tuple_, update

from generated.events import GatewayEvent
from services.gateway import domain
from services.gateway.domain import MAX_CODES, Account, Code, Purpose, State
from services.gateway.tables import TIME, accounts, code_requests, codes
from services.gateway.usecases.ports import Request, Wanted
from services.runtime import tracing
from services.runtime.database import Database, Statement, Transaction
from services.runtime.outbox import Outbox

_ALL = [field.name for field in fields(Account)]
_CHANGING = [name for name in _ALL if name not in ("id", "created_at", "version")]
_active = accounts.c.state == State.ACTIVE

_ADD = Statement(insert(accounts).values({name: bindparam(name) for name in _ALL}))
_ACTIVATE = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("user_id"), accounts.c.state == State.MAKING)
    .values(state="active")
)
_REMOVE_CODES = Statement(delete(codes).where(codes.c.user_id == bindparam("user_id")))
_REMOVE = Statement(delete(accounts).where(accounts.c.id == bindparam("user_id"), accounts.c.state != State.ACTIVE))
_ACCOUNT = Statement(select(accounts).where(accounts.c.id == bindparam("user_id"), _active), into=Account)
_ACCOUNT_OF = Statement(select(accounts).where(accounts.c.email == bindparam("email"), _active).limit(1), into=Account)
_role, _approved = cast(bindparam("role"), Text), cast(bindparam("approved"), Boolean)
_beginning = cast(bindparam("beginning"), Text)
_ACCOUNTS = Statement(
    select(accounts)
    .where(
        _active,
        tuple_(accounts.c.created_at, accounts.c.id)
        < tuple_(bindparam("before_at", type_=TIME), bindparam("before_id", type_=Text)),
        or_(_role.is_(None), accounts.c.role == _role),
        or_(_approved.is_(None), accounts.c.role.is_not(None) == _approved),
        or_(
            _beginning.is_(None),
            *(
                func.starts_with(func.lower(accounts.c[name]), _beginning)
                for name in ("email", "first_name", "last_name")
            ),
        ),
    )
    .order_by(accounts.c.created_at.desc(), accounts.c.id.desc())
    .limit(bindparam("size")),
    into=Account,
)
_UNFINISHED = Statement(
    select(accounts)
    .where(accounts.c.state != State.ACTIVE, accounts.c.created_at < bindparam("before"))
    .order_by(accounts.c.created_at)
    .limit(bindparam("size")),
    into=Account,
)
_SAVE = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("user_id"), accounts.c.version == bindparam("old_version"), _active)
    .values(version=bindparam("old_version") + 1, **{name: bindparam(f"new_{name}") for name in _CHANGING})
)
_AVATARS = Statement(select(accounts.c.avatar).where(accounts.c.avatar.is_not(None)))
_ADD_CODE = Statement(insert(codes).values({field.name: bindparam(field.name) for field in fields(Code)}))
_FORGET_CODES = Statement(
    delete(codes).where(codes.c.user_id == bindparam("user_id"), codes.c.expires_at <= bindparam("now"))
)
_GOOD_CODES = Statement(
    select(func.count().label("good")).where(
        codes.c.user_id == bindparam("user_id"),
        codes.c.purpose == bindparam("purpose"),
        codes.c.expires_at > bindparam("now"),
    )
)
_CODE = Statement(
    select(codes).where(codes.c.digest == bindparam("digest"), codes.c.expires_at > bindparam("now")), into=Code
)
_USE_CODE = Statement(delete(codes).where(codes.c.digest == bindparam("digest")))
_VERIFIED = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("user_id"), _active)
    .values(
        email=func.coalesce(bindparam("new_email", type_=Text), accounts.c.email),
        email_verified=True,
        version=accounts.c.version + 1,
    )
    .returning(accounts),
    into=Account,
)
_ASK = Statement(
    insert(code_requests).values({name: bindparam(name) for name in ("purpose", "email", "user_id", "trace")})
)
_REQUESTS = Statement(
    select(code_requests).order_by(code_requests.c.id).limit(bindparam("size")).with_for_update(skip_locked=True)
)
_DONE = Statement(delete(code_requests).where(code_requests.c.id == bindparam("request_id")))

_END = (datetime.max.replace(tzinfo=UTC), "")


class AccountsUnit:
    """One transaction over requests for codes."""

    def __init__(self, transaction: Transaction, outbox: Outbox[GatewayEvent]) -> None:
        self._transaction = transaction
        self._outbox = outbox

    async def requests(self, size: int) -> Sequence[Request]:
        """The oldest, locked until the transaction ends; those that others work on are left out."""
        rows = await self._transaction.many(_REQUESTS, size=size)
        return [
            Request(row["id"], Purpose(row["purpose"]), row["email"], row["user_id"], row["trace"] or {})
            for row in rows
        ]

    async def account_of(self, email: str) -> Account | None:
        """The account of an address."""
        return await self._transaction.one(_ACCOUNT_OF, email=email)

    async def account(self, user_id: str) -> Account | None:
        """The account of an id."""
        return await self._transaction.one(_ACCOUNT, user_id=user_id)

    async def add_code(self, code: Code, now: datetime) -> bool:
        """Keeps a code, unless MAX_CODES of its kind are good already; those that are no longer good go."""
        await self._transaction.run(_FORGET_CODES, user_id=code.user_id, now=now)
        row = await self._transaction.one(_GOOD_CODES, user_id=code.user_id, purpose=code.purpose, now=now)
        if row is not None and row["good"] >= MAX_CODES:
            return False
        await self._transaction.run(_ADD_CODE, **asdict(code))
        return True

    async def publish(self, event: GatewayEvent) -> None:
        """Lets the event leave when the transaction has committed."""
        await self._outbox.add(self._transaction, event)

    async def done(self, request_id: int) -> None:
        """The request is dealt with."""
        await self._transaction.run(_DONE, request_id=request_id)


class AccountsStore:
    """Every method but `unit` is one transaction."""

    def __init__(self, database: Database, outbox: Outbox[GatewayEvent]) -> None:
        self._database = database
        self._outbox = outbox

    async def add(self, account: Account) -> None:
        """Keeps an account that is being made."""
        await self._database.run(_ADD, **asdict(account))

    async def activate(self, account: Account, code: Code, *events: GatewayEvent) -> None:
        """The account is made: from now on it is seen. Nothing happens when it was already."""
        async with self._database.transaction() as transaction:
            if await transaction.run(_ACTIVATE, user_id=account.id):
                await transaction.run(_ADD_CODE, **asdict(code))
                await self._publish(transaction, events)

    async def remove(self, user_id: str) -> None:
        """Forgets an account that is half made or half gone."""
        await self._database.run(_REMOVE, user_id=user_id)

    async def account(self, user_id: str) -> Account | None:
        """The profile of an active account."""
        return await self._database.one(_ACCOUNT, user_id=user_id)

    async def account_of(self, email: str) -> Account | None:
        """The active account of an address."""
        return await self._database.one(_ACCOUNT_OF, email=email)

    async def accounts(self, size: int, before: tuple[datetime, str] | None, wanted: Wanted) -> list[Account]:
        """Active accounts, newest first."""
        at, last = before or _END
        beginning = None if wanted.beginning is None else wanted.beginning.lower()
        return await self._database.many(
            _ACCOUNTS,
            size=size,
            before_at=at,
            before_id=last,
            role=wanted.role,
            approved=wanted.approved,
            beginning=beginning,
        )

    async def unfinished(self, before: datetime, size: int) -> list[Account]:
        """Accounts that are half made, or half gone, since before then."""
        return await self._database.many(_UNFINISHED, before=before, size=size)

    async def save(self, account: Account, *events: GatewayEvent) -> bool:
        """The next version of an account, and the events; False when it is no longer the next."""
        async with self._database.transaction() as transaction:
            return await self._save(transaction, account, events)

    async def leave(self, account: Account, *events: GatewayEvent) -> bool:
        """As `save`, and its codes are worth nothing any more."""
        async with self._database.transaction() as transaction:
            await transaction.run(_REMOVE_CODES, user_id=account.id)
            return await self._save(transaction, account, events)

    async def _save(self, transaction: Transaction, account: Account, events: Sequence[GatewayEvent]) -> bool:
        values = {f"new_{name}": getattr(account, name) for name in _CHANGING}
        if not await transaction.run(_SAVE, user_id=account.id, old_version=account.version - 1, **values):
            return False
        await self._publish(transaction, events)
        return True

    async def _publish(self, transaction: Transaction, events: Sequence[GatewayEvent]) -> None:
        for event in events:
            await self._outbox.add(transaction, event)

    async def code(self, digest: bytes, now: datetime) -> Code | None:
        """A code that is good."""
        return await self._database.one(_CODE, digest=digest, now=now)

    async def use_code(self, code: Code) -> bool:
        """Uses a code, once: its address is the account's, and verified. False when it was used before.

        When the address or the password is another now, the account's other codes are worth nothing any more.
        """
        async with self._database.transaction() as transaction:
            if not await transaction.run(_USE_CODE, digest=code.digest):
                return False
            account = await transaction.one(_VERIFIED, user_id=code.user_id, new_email=code.new_email)
            if account is None:
                return False
            if code.purpose is not Purpose.CONFIRM:
                await transaction.run(_REMOVE_CODES, user_id=code.user_id)
            await self._outbox.add(transaction, domain.updated(account))
            return True

    async def drop_code(self, code: Code) -> None:
        """The code is worth nothing any more."""
        await self._database.run(_USE_CODE, digest=code.digest)

    async def ask(self, purpose: Purpose, email: str, user_id: str | None) -> None:
        """Keeps a request for a code."""
        await self._database.run(_ASK, purpose=purpose, email=email, user_id=user_id, trace=Jsonb(tracing.carrier()))

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[AccountsUnit]:
        """Commits at the end of the block, rolls back when it raises."""
        async with self._database.transaction() as transaction:
            yield AccountsUnit(transaction, self._outbox)

    async def avatars(self) -> set[str]:
        """The names of all pictures that an account points to."""
        return {row["avatar"] for row in await self._database.many(_AVATARS)}
