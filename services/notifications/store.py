"""Agents and users in PostgreSQL."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    bindparam,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from generated.events import NotificationsEvent
from services.notifications.domain import Agent, User
from services.runtime import inbox
from services.runtime.database import Database, Statement
from services.runtime.inbox import inbox_table
from services.runtime.outbox import Outbox, outbox_table

metadata = MetaData()
outbox_table(metadata)
inbox_table(metadata)

agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("providers", ARRAY(Text), nullable=False),
    Column("ttl_s", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    CheckConstraint("priority BETWEEN 1 AND 10", name="agents_priority"),
    CheckConstraint("ttl_s > 0", name="agents_ttl"),
)
users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("notif_token", Text),
    Column("locale", Text),
    Column("time_zone", Text),
    Column("version", BigInteger, nullable=False),
)

_AGENT = Statement(select(agents).where(agents.c.id == bindparam("id")), into=Agent)
_USER = Statement(select(users).where(users.c.user_id == bindparam("user_id")), into=User)
_put = insert(users).values({column.name: bindparam(column.name) for column in users.c})
_PUT_USER = Statement(
    _put.on_conflict_do_update(
        index_elements=["user_id"],
        set_={column.name: _put.excluded[column.name] for column in users.c if not column.primary_key},
        where=users.c.version < _put.excluded.version,
    )
)


class NotificationsStore:
    """Every method is one transaction."""

    def __init__(self, database: Database, outbox: Outbox[NotificationsEvent]) -> None:
        self._database = database
        self._outbox = outbox

    async def put_user(self, user: User) -> None:
        """Keeps where a user is reached, unless something newer is known."""
        await self._database.run(
            _PUT_USER,
            user_id=user.user_id,
            email=user.email,
            notif_token=user.notif_token,
            locale=user.locale,
            time_zone=user.time_zone,
            version=user.version,
        )

    async def user(self, user_id: str) -> User | None:
        """Where a user is reached."""
        return await self._database.one(_USER, user_id=user_id)

    async def agent(self, agent_id: str) -> Agent | None:
        """The agent, enabled or not."""
        return await self._database.one(_AGENT, id=agent_id)

    async def tell(self, queue: str, event_id: str, event: NotificationsEvent) -> None:
        """Lets the event leave, once per event consumed."""
        async with self._database.transaction() as transaction:
            if await inbox.first(transaction, queue, event_id):
                await self._outbox.add(transaction, event)
