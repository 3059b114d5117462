"""Profiles and codes in PostgreSQL."""

from dataclasses import asdict, fields

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from generated.events import GatewayEvent
from services.gateway.domain import Account, Code
from services.runtime.clock import Clock
from services.runtime.database import Database, Statement
from services.runtime.outbox import Outbox, outbox_table

metadata = MetaData()
outbox_table(metadata)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_verified", Boolean, nullable=False),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("phone", Text),
    Column("birth_date", Date),
    Column("locale", Text),
    Column("time_zone", Text),
    Column("notif_token", Text),
    Column("version", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
codes = Table(
    "codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("codes_by_user", "user_id"),
)

_ADD_ACCOUNT = Statement(insert(accounts).values({field.name: bindparam(field.name) for field in fields(Account)}))
_ADD_CODE = Statement(insert(codes).values({field.name: bindparam(field.name) for field in fields(Code)}))
_ACCOUNT = Statement(select(accounts).where(accounts.c.id == bindparam("user_id")), into=Account)
_USE_CODE = Statement(
    delete(codes)
    .where(codes.c.digest == bindparam("digest"), codes.c.purpose == bindparam("purpose"))
    .returning(codes.c.user_id, codes.c.expires_at)
)
_SET_VERIFIED = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("user_id"))
    .values(email_verified=True, version=accounts.c.version + 1)
)


class AccountsStore:
    """Every method is one transaction."""

    def __init__(self, database: Database, outbox: Outbox[GatewayEvent]) -> None:
        self._database = database
        self._outbox = outbox

    async def add(self, account: Account, code: Code, *events: GatewayEvent) -> None:
        """Keeps a new profile and its code, and lets the events leave."""
        async with self._database.transaction() as transaction:
            await transaction.run(_ADD_ACCOUNT, **asdict(account))
            await transaction.run(_ADD_CODE, **asdict(code))
            for event in events:
                await self._outbox.add(transaction, event)

    async def account(self, user_id: str) -> Account | None:
        """The profile."""
        return await self._database.one(_ACCOUNT, user_id=user_id)

    async def use_code(self, digest: bytes, purpose: str, clock: Clock) -> str | None:
        """Whose code it is, once; None for one that is wrong, used or expired."""
        row = await self._database.one(_USE_CODE, digest=digest, purpose=purpose)
        return None if row is None or row["expires_at"] < clock() else str(row["user_id"])

    async def set_verified(self, user_id: str) -> None:
        """The e-mail address is the user's."""
        await self._database.run(_SET_VERIFIED, user_id=user_id)
