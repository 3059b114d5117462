"""Management of notification agents."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from generated.problems import Reason
from generated.proto.delivery.events.v1 import AgentChanged
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import Provider
from services.notifications.usecases.ports import Repository, UnitOfWork
from services.runtime.core import ids, pagination
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.pagination import Page
from services.runtime.core.repository import SortedEntityReader

MAX_TTL_S = 28 * 86400
"""Maximum time to live of a message at FCM (28 days)."""

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


class AgentRepository(Protocol):
    """Agents and their provider keys in a unit of work."""

    async def add(self, agent: Agent, keys: Mapping[str, str]) -> None:
        """Insert a new agent and its keys."""

    async def save(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
        """Update an agent to its next version; return False if another one is stored. A key of None is deleted."""


class AgentUnitOfWork(UnitOfWork, Protocol):
    """One transaction over users, devices, delivery jobs and agents."""

    agents: AgentRepository


class AgentsRepository(Repository, Protocol):
    """Read access to users, devices and agents, and the units of work that change them."""

    agents: SortedEntityReader[str, Agent]

    def unit_of_work(self) -> AbstractAsyncContextManager[AgentUnitOfWork]:
        """Open a unit of work."""

    def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AbstractAsyncContextManager[tuple[AgentUnitOfWork, IdempotentResponse]]:
        """Open a unit of work for a request that may have an idempotency key."""


@dataclass(frozen=True, slots=True)
class AgentPatch:
    """Merge patch: `values` by field of the agent, `keys` by provider; None removes the field or key."""

    values: Mapping[str, object] = field(default_factory=dict)
    keys: Mapping[str, str | None] = field(default_factory=dict)


async def create_agent(
    repository: AgentsRepository,
    agent: Agent,
    provider_keys: Mapping[str, str],
    key: IdempotencyKey | None,
    encode: Callable[[Agent], bytes],
) -> IdempotentResponse:
    """Create an agent, once per idempotency key, and return the encoded response.

    `encode` is called with the agent that has its new id.

    Raises ApiError: INVALID_REQUEST, AGENT_KEY_INVALID, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_BUSY.
    """
    async with repository.idempotent_unit_of_work(key) as (unit, response):
        if not response.replayed:
            new_agent = replace(agent, id=ids.generate_id(), version=1)
            _validate(new_agent, provider_keys)
            await unit.agents.add(new_agent, provider_keys)
            await unit.publish(AgentChanged(agent_id=new_agent.id, version=new_agent.version))
            response.data = encode(new_agent)
    return response


async def list_agents(repository: AgentsRepository, size: int, page_token: str) -> Page[Agent]:
    """Return a page of agents in the order of their ids."""
    last_key = pagination.decode_page_token(page_token, tuple[str])
    rows = await repository.agents.list_after(last_key[0] if last_key else "", size + 1)
    return pagination.build_page(rows, size, lambda agent: (agent.id,))


async def get_agent(repository: AgentsRepository, agent_id: str) -> Agent:
    """Return the agent.

    Raises ApiError: AGENT_NOT_FOUND.
    """
    agent = await repository.agents.get(agent_id)
    if agent is None:
        raise ApiError(Reason.AGENT_NOT_FOUND)
    return agent


async def update_agent(
    repository: AgentsRepository, agent_id: str, patch: AgentPatch, check_version: Callable[[int], None]
) -> Agent:
    """Apply a patch to an agent.

    `check_version` raises an error for a current version that the caller does not expect.

    Raises ApiError: AGENT_NOT_FOUND, PRECONDITION_FAILED, INVALID_REQUEST, AGENT_KEY_INVALID.
    """
    before = await get_agent(repository, agent_id)
    check_version(before.version)
    after = replace(before, version=before.version + 1, **patch.values)  # type: ignore[arg-type]
    _validate(after, patch.keys)
    async with repository.unit_of_work() as unit:
        if not await unit.agents.save(after, patch.keys):
            raise ApiError(Reason.PRECONDITION_FAILED)
        await unit.publish(AgentChanged(agent_id=after.id, version=after.version))
    return after


def _validate(agent: Agent, keys: Mapping[str, str | None]) -> None:
    """Validate an agent and its keys; the gateway's contract validation does not cover direct gRPC calls.

    Raises ApiError: INVALID_REQUEST, AGENT_KEY_INVALID.
    """
    field_errors = [FieldError(name, error) for name, is_valid, error in _build_validation_rules(agent) if not is_valid]
    if field_errors:
        raise ApiError(Reason.INVALID_REQUEST, errors=field_errors)
    key_errors = [
        FieldError(f"keys.{provider}", error)
        for provider, key in keys.items()
        if key is not None and (error := find_key_error(Provider(provider), key))
    ]
    if key_errors:
        raise ApiError(Reason.AGENT_KEY_INVALID, errors=key_errors)


def _build_validation_rules(agent: Agent) -> Sequence[tuple[str, bool, str]]:
    return (
        (
            "name",
            1 <= len(agent.name) <= 100 and not _CONTROL_CHARACTERS.search(agent.name),
            "must be 1 to 100 characters without control characters",
        ),
        ("priority", 1 <= agent.priority <= 10, "must be 1 to 10"),
        (
            "providers",
            1 <= len(agent.providers) == len(set(agent.providers)),
            "must contain at least one provider and no duplicates",
        ),
        ("ttl_s", 1 <= agent.ttl_s <= MAX_TTL_S, f"must be 1 to {MAX_TTL_S}"),
    )


def find_key_error(provider: Provider, key: str) -> str | None:
    """Return the error of a provider key without any part of the key, or None if the key is valid."""
    try:
        key_file = json.loads(key)
        if provider is Provider.FCM:
            fields = ("type", "project_id", "client_email", "private_key", "token_uri")
            if not all(isinstance(key_file.get(name), str) for name in fields) or key_file["type"] != "service_account":
                return "must be the key file of a service account"
            is_rsa = isinstance(_load_private_key(key_file["private_key"]), RSAPrivateKey)
            return None if is_rsa else "must contain an RSA key"
        private_key = _load_private_key(key_file["private_key"])
        is_p256 = isinstance(private_key, EllipticCurvePrivateKey) and isinstance(private_key.curve, SECP256R1)
        return None if is_p256 else "must contain an elliptic curve key on P-256"
    except (ValueError, TypeError, AttributeError, KeyError):
        return "is malformed"


def _load_private_key(pem: str) -> object:
    return load_pem_private_key(pem.encode(), password=None)
