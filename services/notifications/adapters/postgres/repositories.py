"""Users and their devices, and agents with their keys, in PostgreSQL."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Text, and_, bindparam, delete, func, null, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from generated.events import NotificationsEvent
from generated.proto.delivery.events.v1 import AgentChanged
from services.notifications.adapters.postgres.tables import agent_keys, agents, devices, users
from services.notifications.domain.agents import Agent, QuietHours
from services.notifications.domain.notifications import Device, Provider, User, detect_provider
from services.notifications.usecases.ports import ProviderKeys
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import idempotency
from services.runtime.storage.database import Database, Statement, Transaction
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.idempotency import IdempotencyKey, StoredResponse

MAX_DEVICES = 10
"""Of a user; the newest count."""

_user_columns = (users.c.user_id, users.c.email, users.c.locale, users.c.time_zone, users.c.version)
_user_ids_param = bindparam("ids", type_=ARRAY(Text))
_SELECT_USERS = Statement(select(*_user_columns).where(users.c.user_id == _user_ids_param.any_()), row_type=User)
_insert_user = insert(users).values({column.name: bindparam(column.name) for column in _user_columns})
_UPSERT_USER = Statement(
    _insert_user.on_conflict_do_update(
        index_elements=["user_id"],
        set_={column.name: _insert_user.excluded[column.name] for column in _user_columns if not column.primary_key}
        | {"notif_token": null()},
        where=users.c.version < _insert_user.excluded.version,
    )
)
_MARK_DEVICES_CLEARED = Statement(
    update(users)
    .where(users.c.user_id == bindparam("of"))
    .values(devices_cleared_version=func.greatest(users.c.devices_cleared_version, bindparam("version")))
)
_insert_device = insert(devices).values({name: bindparam(name) for name in ("user_id", "token", "provider", "version")})
_UPSERT_DEVICE = Statement(
    _insert_device.on_conflict_do_update(
        index_elements=["user_id", "token"],
        set_={"version": func.greatest(devices.c.version, _insert_device.excluded.version)},
    )
)
_newest_first = (devices.c.version.desc(), devices.c.token)
_active_devices = (
    select(
        devices.c.user_id,
        devices.c.provider,
        devices.c.token,
        func.row_number().over(partition_by=devices.c.user_id, order_by=_newest_first).label("place"),
    )
    .join(users, users.c.user_id == devices.c.user_id)
    .where(
        devices.c.user_id == _user_ids_param.any_(),
        devices.c.version > users.c.devices_cleared_version,
        devices.c.version > devices.c.deleted_version,
    )
    .subquery()
)
_SELECT_DEVICES = Statement(
    select(_active_devices).where(_active_devices.c.place <= MAX_DEVICES).order_by(_active_devices.c.place)
)
_MARK_DEVICE_DELETED = Statement(
    update(devices)
    .where(devices.c.user_id == bindparam("of"), devices.c.token == bindparam("gone"))
    .values(deleted_version=devices.c.version)
)
_DELETE_OLD_DEVICES = Statement(
    delete(devices).where(devices.c.user_id == bindparam("user_id"), devices.c.version <= bindparam("version"))
)

_AGENT_COLUMNS = [column.name for column in agents.c]
_SELECT_AGENT = Statement(select(agents).where(agents.c.id == bindparam("id")))
_SELECT_AGENTS = Statement(
    select(agents).where(agents.c.id > bindparam("after")).order_by(agents.c.id).limit(bindparam("size"))
)
_INSERT_AGENT = Statement(insert(agents).values({name: bindparam(name) for name in _AGENT_COLUMNS}))
_UPDATE_AGENT = Statement(
    update(agents)
    .where(agents.c.id == bindparam("of"), agents.c.version == bindparam("before"))
    .values({name: bindparam(name) for name in _AGENT_COLUMNS if name != "id"})
)
_SELECT_KEYS = Statement(select(agent_keys).where(agent_keys.c.agent_id == bindparam("agent_id")))
_insert_key = insert(agent_keys).values({column.name: bindparam(column.name) for column in agent_keys.c})
_UPSERT_KEY = Statement(
    _insert_key.on_conflict_do_update(
        index_elements=["agent_id", "provider"], set_={"ciphertext": _insert_key.excluded.ciphertext}
    )
)
_DELETE_KEY = Statement(
    delete(agent_keys).where(
        and_(agent_keys.c.agent_id == bindparam("agent_id"), agent_keys.c.provider == bindparam("provider"))
    )
)


class PostgresUserRepository:
    """Every method is one transaction; who is looked up at the same time shares a query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._user_batcher = MicroBatcher(self._load_users)
        self._device_batcher = MicroBatcher(self._load_devices)

    async def upsert_user(self, user: User, token: str | None) -> None:
        """Keeps where a user is reached, unless something newer is known; a version without a token forgets devices."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                _UPSERT_USER,
                user_id=user.user_id,
                email=user.email,
                locale=user.locale,
                time_zone=user.time_zone,
                version=user.version,
            )
            if token is not None:
                await transaction.execute(
                    _UPSERT_DEVICE,
                    user_id=user.user_id,
                    token=token,
                    provider=detect_provider(token),
                    version=user.version,
                )
                return
            # A mark rather than a deletion alone, since an older version may come later and name a device.
            await transaction.execute(_MARK_DEVICES_CLEARED, of=user.user_id, version=user.version)
            await transaction.execute(_DELETE_OLD_DEVICES, user_id=user.user_id, version=user.version)

    async def get_user(self, user_id: str) -> User | None:
        """Where a user is reached."""
        return await self._user_batcher.submit(user_id)

    async def _load_users(self, user_ids: Sequence[str]) -> Sequence[User | None]:
        found = {user.user_id: user for user in await self._database.fetch_all(_SELECT_USERS, ids=list(set(user_ids)))}
        return [found.get(user_id) for user_id in user_ids]

    async def list_devices(self, user_id: str) -> Sequence[Device]:
        """The newest first."""
        return await self._device_batcher.submit(user_id)

    async def _load_devices(self, user_ids: Sequence[str]) -> Sequence[Sequence[Device]]:
        found: dict[str, list[Device]] = {user_id: [] for user_id in user_ids}
        for row in await self._database.fetch_all(_SELECT_DEVICES, ids=list(found)):
            found[row["user_id"]].append(Device(Provider(row["provider"]), row["token"]))
        return [found[user_id] for user_id in user_ids]

    async def delete_device(self, user_id: str, token: str) -> None:
        """Forgets a device, until the user names it again."""
        await self._database.execute(_MARK_DEVICE_DELETED, of=user_id, gone=token)


class PostgresAgentUnitOfWork:
    """One transaction in which agents change."""

    def __init__(self, transaction: Transaction, outbox: Outbox[NotificationsEvent], secret_box: SecretBox) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self._secret_box = secret_box

    async def add_agent(self, agent: Agent, keys: Mapping[str, str]) -> None:
        """Keeps a new agent and its keys."""
        await self._transaction.execute(_INSERT_AGENT, id=agent.id, **_to_columns(agent))
        await self._save_keys_and_publish(agent, keys)

    async def save_agent(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        """Keeps the next version of an agent; False when somebody else has made it. A key of None is removed."""
        if (
            await self._transaction.execute(_UPDATE_AGENT, of=agent.id, before=agent.version - 1, **_to_columns(agent))
            != 1
        ):
            return False
        await self._save_keys_and_publish(agent, keys)
        return True

    async def _save_keys_and_publish(self, agent: Agent, keys: Mapping[str, str | None]) -> None:
        for provider, key in keys.items():
            if key is None:
                await self._transaction.execute(_DELETE_KEY, agent_id=agent.id, provider=provider)
            else:
                locked = self._secret_box.encrypt(key)
                await self._transaction.execute(_UPSERT_KEY, agent_id=agent.id, provider=provider, ciphertext=locked)
        await self._outbox.add(self._transaction, AgentChanged(agent_id=agent.id, version=agent.version))


class PostgresAgentRepository:
    """Every method is one transaction."""

    def __init__(self, database: Database, outbox: Outbox[NotificationsEvent], secret_box: SecretBox) -> None:
        self._database = database
        self._outbox = outbox
        self._secret_box = secret_box

    async def run_idempotently(
        self, key: IdempotencyKey | None, work: Callable[[PostgresAgentUnitOfWork], Awaitable[bytes]]
    ) -> StoredResponse:
        """Does the work in a unit, or gives the first answer to the key again."""
        return await idempotency.run_idempotently(
            self._database,
            key,
            lambda transaction: work(PostgresAgentUnitOfWork(transaction, self._outbox, self._secret_box)),
        )

    async def get_agent(self, agent_id: str) -> Agent | None:
        """The agent, enabled or not."""
        row = await self._database.fetch_one(_SELECT_AGENT, id=agent_id)
        return None if row is None else _to_agent(row)

    async def list_agents(self, limit: int, after: str | None) -> Sequence[Agent]:
        """By id."""
        return [_to_agent(row) for row in await self._database.fetch_all(_SELECT_AGENTS, size=limit, after=after or "")]

    async def save_agent(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        """Keeps the next version of an agent; False when somebody else has made it. A key of None is removed."""
        async with self._database.transaction() as transaction:
            return await PostgresAgentUnitOfWork(transaction, self._outbox, self._secret_box).save_agent(agent, keys)

    async def get_keys(self, agent_id: str) -> ProviderKeys:
        """What the agent signs in with."""
        rows = await self._database.fetch_all(_SELECT_KEYS, agent_id=agent_id)
        return ProviderKeys(**{row["provider"]: self._secret_box.decrypt(row["ciphertext"]) for row in rows})


def _to_columns(agent: Agent) -> dict[str, object]:
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


def _to_agent(row: Mapping[str, Any]) -> Agent:
    values = dict(row)
    start, end = values.pop("quiet_start"), values.pop("quiet_end")
    providers = tuple(Provider(name) for name in values.pop("providers"))
    return Agent(providers=providers, quiet_hours=QuietHours(start, end) if start and end else None, **values)
