"""Notification agents and their provider keys in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any, override

from sqlalchemy import and_, bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from services.notifications.adapters.postgres.tables import agent_keys, agents
from services.notifications.domain.agents import Agent, ProviderKeys, QuietHours
from services.notifications.domain.notifications import Provider
from services.notifications.usecases.agents import AgentRepository
from services.runtime.core.repository import SortedEntityReader
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.transactions.transaction import Transaction

_AGENT_COLUMNS = [column.name for column in agents.c]
_SELECT_AGENT = Statement(select(agents).where(agents.c.id == bindparam("id")))
_SELECT_AGENTS = Statement(
    select(agents).where(agents.c.id > bindparam("after")).order_by(agents.c.id).limit(bindparam("limit"))
)
_INSERT_AGENT = Statement(insert(agents).values({name: bindparam(name) for name in _AGENT_COLUMNS}))
_UPDATE_AGENT = Statement(
    update(agents)
    .where(agents.c.id == bindparam("agent_id"), agents.c.version == bindparam("previous_version"))
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


class PostgresAgentReader(SortedEntityReader[str, Agent]):
    """Read access to agents and their keys in PostgreSQL."""

    def __init__(self, database: Database, secret_box: SecretBox) -> None:
        self._database = database
        self._secret_box = secret_box

    @override
    async def get(self, key: str) -> Agent | None:
        row = await self._database.fetch_one(_SELECT_AGENT, id=key)
        return None if row is None else _to_agent(row)

    @override
    async def list_after(self, after: str, size: int) -> Sequence[Agent]:
        rows = await self._database.fetch_all(_SELECT_AGENTS, limit=size, after=after)
        return [_to_agent(row) for row in rows]

    async def get_keys(self, agent_id: str) -> ProviderKeys:
        """Return the agent's own provider credentials."""
        rows = await self._database.fetch_all(_SELECT_KEYS, agent_id=agent_id)
        return ProviderKeys(**{row["provider"]: self._secret_box.decrypt(row["ciphertext"]) for row in rows})


class PostgresAgentRepository(AgentRepository):
    """Agents and their keys of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction, secret_box: SecretBox) -> None:
        self._transaction = transaction
        self._secret_box = secret_box

    @override
    async def add(self, agent: Agent, keys: Mapping[str, str]) -> None:
        await self._transaction.execute(_INSERT_AGENT, id=agent.id, **_to_columns(agent))
        await self._save_keys(agent, keys)

    @override
    async def save(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        updated_rows = await self._transaction.execute(
            _UPDATE_AGENT, agent_id=agent.id, previous_version=agent.version - 1, **_to_columns(agent)
        )
        if updated_rows != 1:
            return False
        await self._save_keys(agent, keys)
        return True

    async def _save_keys(self, agent: Agent, keys: Mapping[str, str | None]) -> None:
        for provider, key in keys.items():
            if key is None:
                await self._transaction.execute(_DELETE_KEY, agent_id=agent.id, provider=provider)
            else:
                ciphertext = self._secret_box.encrypt(key)
                await self._transaction.execute(
                    _UPSERT_KEY, agent_id=agent.id, provider=provider, ciphertext=ciphertext
                )


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
