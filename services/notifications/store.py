"""Users and their devices, and agents with their keys, in PostgreSQL."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Text, and_, bindparam, delete, func, null, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from generated.events import NotificationsEvent
from generated.proto.delivery.events.v1 import AgentChanged
from services.notifications.domain.agents import Agent, QuietHours
from services.notifications.domain.notifications import Device, Provider, User, provider_of
from services.notifications.tables import agent_keys, agents, devices, users
from services.notifications.usecases.ports import Keys
from services.runtime import idempotency
from services.runtime.batches import Batches
from services.runtime.database import Database, Statement, Transaction
from services.runtime.idempotency import Kept, Key
from services.runtime.outbox import Outbox
from services.runtime.vault import Vault

MOST_DEVICES = 10
"""Of a user; the newest count."""

_user_columns = (users.c.user_id, users.c.email, users.c.locale, users.c.time_zone, users.c.version)
_ids = bindparam("ids", type_=ARRAY(Text))
_USERS = Statement(select(*_user_columns).where(users.c.user_id == _ids.any_()), into=User)
_put = insert(users).values({column.name: bindparam(column.name) for column in _user_columns})
_PUT_USER = Statement(
    _put.on_conflict_do_update(
        index_elements=["user_id"],
        set_={column.name: _put.excluded[column.name] for column in _user_columns if not column.primary_key}
        | {"notif_token": null()},
        where=users.c.version < _put.excluded.version,
    )
)
_CLEAR = Statement(
    update(users)
    .where(users.c.user_id == bindparam("of"))
    .values(cleared=func.greatest(users.c.cleared, bindparam("version")))
)
_device = insert(devices).values({name: bindparam(name) for name in ("user_id", "token", "provider", "version")})
_PUT_DEVICE = Statement(
    _device.on_conflict_do_update(
        index_elements=["user_id", "token"],
        set_={"version": func.greatest(devices.c.version, _device.excluded.version)},
    )
)
_newest = (devices.c.version.desc(), devices.c.token)
_known = (
    select(
        devices.c.user_id,
        devices.c.provider,
        devices.c.token,
        func.row_number().over(partition_by=devices.c.user_id, order_by=_newest).label("place"),
    )
    .join(users, users.c.user_id == devices.c.user_id)
    .where(devices.c.user_id == _ids.any_(), devices.c.version > users.c.cleared, devices.c.version > devices.c.dropped)
    .subquery()
)
_DEVICES = Statement(select(_known).where(_known.c.place <= MOST_DEVICES).order_by(_known.c.place))
_DROP_DEVICE = Statement(
    update(devices)
    .where(devices.c.user_id == bindparam("of"), devices.c.token == bindparam("gone"))
    .values(dropped=devices.c.version)
)
_FORGET_DEVICES = Statement(
    delete(devices).where(devices.c.user_id == bindparam("user_id"), devices.c.version <= bindparam("version"))
)

_AGENT_COLUMNS = [column.name for column in agents.c]
_AGENT = Statement(select(agents).where(agents.c.id == bindparam("id")))
_AGENTS = Statement(
    select(agents).where(agents.c.id > bindparam("after")).order_by(agents.c.id).limit(bindparam("size"))
)
_ADD_AGENT = Statement(insert(agents).values({name: bindparam(name) for name in _AGENT_COLUMNS}))
_SAVE_AGENT = Statement(
    update(agents)
    .where(agents.c.id == bindparam("of"), agents.c.version == bindparam("before"))
    .values({name: bindparam(name) for name in _AGENT_COLUMNS if name != "id"})
)
_KEYS = Statement(select(agent_keys).where(agent_keys.c.agent_id == bindparam("agent_id")))
_key = insert(agent_keys).values({column.name: bindparam(column.name) for column in agent_keys.c})
_PUT_KEY = Statement(
    _key.on_conflict_do_update(index_elements=["agent_id", "provider"], set_={"locked": _key.excluded.locked})
)
_DROP_KEY = Statement(
    delete(agent_keys).where(
        and_(agent_keys.c.agent_id == bindparam("agent_id"), agent_keys.c.provider == bindparam("provider"))
    )
)


class UsersStore:
    """Every method is one transaction; who is looked up at the same time shares a query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = Batches(self._users_of)
        self._devices = Batches(self._devices_of)

    async def put_user(self, user: User, token: str | None) -> None:
        """Keeps where a user is reached, unless something newer is known; a version without a token forgets devices."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                _PUT_USER,
                user_id=user.user_id,
                email=user.email,
                locale=user.locale,
                time_zone=user.time_zone,
                version=user.version,
            )
            if token is not None:
                await transaction.run(
                    _PUT_DEVICE,
                    user_id=user.user_id,
                    token=token,
                    provider=provider_of(token),
                    version=user.version,
                )
                return
            # A mark rather than a deletion alone, since an older version may come later and name a device.
            await transaction.run(_CLEAR, of=user.user_id, version=user.version)
            await transaction.run(_FORGET_DEVICES, user_id=user.user_id, version=user.version)

    async def user(self, user_id: str) -> User | None:
        """Where a user is reached."""
        return await self._users.do(user_id)

    async def _users_of(self, ids: Sequence[str]) -> Sequence[User | None]:
        found = {user.user_id: user for user in await self._database.many(_USERS, ids=list(set(ids)))}
        return [found.get(user_id) for user_id in ids]

    async def devices(self, user_id: str) -> Sequence[Device]:
        """The newest first."""
        return await self._devices.do(user_id)

    async def _devices_of(self, ids: Sequence[str]) -> Sequence[Sequence[Device]]:
        found: dict[str, list[Device]] = {user_id: [] for user_id in ids}
        for row in await self._database.many(_DEVICES, ids=list(found)):
            found[row["user_id"]].append(Device(Provider(row["provider"]), row["token"]))
        return [found[user_id] for user_id in ids]

    async def drop_device(self, user_id: str, token: str) -> None:
        """Forgets a device, until the user names it again."""
        await self._database.run(_DROP_DEVICE, of=user_id, gone=token)


class AgentsUnit:
    """One transaction in which agents change."""

    def __init__(self, transaction: Transaction, outbox: Outbox[NotificationsEvent], vault: Vault) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self._vault = vault

    async def add_agent(self, agent: Agent, keys: Mapping[str, str]) -> None:
        """Keeps a new agent and its keys."""
        await self._transaction.run(_ADD_AGENT, id=agent.id, **_columns(agent))
        await self._changed(agent, keys)

    async def save_agent(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        """Keeps the next version of an agent; False when somebody else has made it. A key of None is removed."""
        if await self._transaction.run(_SAVE_AGENT, of=agent.id, before=agent.version - 1, **_columns(agent)) != 1:
            return False
        await self._changed(agent, keys)
        return True

    async def _changed(self, agent: Agent, keys: Mapping[str, str | None]) -> None:
        for provider, key in keys.items():
            if key is None:
                await self._transaction.run(_DROP_KEY, agent_id=agent.id, provider=provider)
            else:
                locked = self._vault.lock(key)
                await self._transaction.run(_PUT_KEY, agent_id=agent.id, provider=provider, locked=locked)
        await self._outbox.add(self._transaction, AgentChanged(agent_id=agent.id, version=agent.version))


class AgentsStore:
    """Every method is one transaction."""

    def __init__(self, database: Database, outbox: Outbox[NotificationsEvent], vault: Vault) -> None:
        self._database = database
        self._outbox = outbox
        self._vault = vault

    async def once(self, key: Key | None, work: Callable[[AgentsUnit], Awaitable[bytes]]) -> Kept:
        """Does the work in a unit, or gives the first answer to the key again."""
        return await idempotency.once(
            self._database, key, lambda transaction: work(AgentsUnit(transaction, self._outbox, self._vault))
        )

    async def agent(self, agent_id: str) -> Agent | None:
        """The agent, enabled or not."""
        row = await self._database.one(_AGENT, id=agent_id)
        return None if row is None else _agent(row)

    async def agents(self, size: int, after: str | None) -> Sequence[Agent]:
        """By id."""
        return [_agent(row) for row in await self._database.many(_AGENTS, size=size, after=after or "")]

    async def save_agent(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        """Keeps the next version of an agent; False when somebody else has made it. A key of None is removed."""
        async with self._database.transaction() as transaction:
            return await AgentsUnit(transaction, self._outbox, self._vault).save_agent(agent, keys)

    async def keys(self, agent_id: str) -> Keys:
        """What the agent signs in with."""
        rows = await self._database.many(_KEYS, agent_id=agent_id)
        return Keys(**{row["provider"]: self._vault.unlock(row["locked"]) for row in rows})


def _columns(agent: Agent) -> dict[str, object]:
    return {
        "name": agent.name,
        "priority": agent.priority,
        "providers": [str(provider) for provider in agent.providers],
        "ttl_s": agent.ttl_s,
        "enabled": agent.enabled,
        "quiet_start": agent.quiet_hours.start if agent.quiet_hours else None,
        "quiet_end": agent.quiet_hours.end if agent.quiet_hours else None,
        "collapse": agent.collapse,
        "version": agent.version,
    }


def _agent(row: Mapping[str, Any]) -> Agent:
    values = dict(row)
    start, end = values.pop("quiet_start"), values.pop("quiet_end")
    providers = tuple(Provider(name) for name in values.pop("providers"))
    return Agent(providers=providers, quiet_hours=QuietHours(start, end) if start and end else None, **values)
