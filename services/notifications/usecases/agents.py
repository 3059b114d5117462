"""Who sends."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from generated.problems import Reason
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import Provider
from services.notifications.usecases.ports import AgentRepository, AgentUnitOfWork
from services.runtime.core import ids, pagination
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.pagination import Page

MAX_TTL_S = 28 * 86400
"""Seconds; Firebase keeps a message no longer."""

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class AgentPatch:
    """A merge patch: `values` by the agent's field, None where a field is removed; so with keys, by provider."""

    values: Mapping[str, object] = field(default_factory=dict)
    keys: Mapping[str, str | None] = field(default_factory=dict)


async def create(unit: AgentUnitOfWork, agent: Agent, keys: Mapping[str, str]) -> Agent:
    """Makes an agent, whose id we choose. Refuses INVALID_REQUEST and AGENT_KEY_INVALID."""
    made = replace(agent, id=ids.new_id(), version=1)
    _validate(made, keys)
    await unit.add_agent(made, keys)
    return made


async def list_agents(repository: AgentRepository, size: int, page_token: str) -> Page[Agent]:
    """A page of agents, by id."""
    key = pagination.decode_page_token(page_token, tuple[str])
    rows = await repository.list_agents(size + 1, key[0] if key else None)
    return pagination.build_page(rows, size, lambda agent: (agent.id,))


async def read(repository: AgentRepository, agent_id: str) -> Agent:
    """An agent. Refuses AGENT_NOT_FOUND."""
    agent = await repository.get_agent(agent_id)
    if agent is None:
        raise ApiError(Reason.AGENT_NOT_FOUND)
    return agent


async def update(repository: AgentRepository, agent_id: str, patch: AgentPatch, if_match: str | None) -> Agent:
    """Changes an agent. Refuses AGENT_NOT_FOUND, and PRECONDITION_FAILED when it is not as `if_match` says."""
    before = await read(repository, agent_id)
    if if_match not in (None, "*", before.etag):
        raise ApiError(Reason.PRECONDITION_FAILED)
    after = replace(before, version=before.version + 1, **patch.values)  # type: ignore[arg-type]
    _validate(after, patch.keys)
    if not await repository.save_agent(after, patch.keys):
        raise ApiError(Reason.PRECONDITION_FAILED)
    return after


def _validate(agent: Agent, keys: Mapping[str, str | None]) -> None:
    """The edge has checked what the contract says of the shape; operators reach the service past it."""
    wrong = [FieldError(name, why) for name, good, why in _build_validation_rules(agent) if not good]
    if wrong:
        raise ApiError(Reason.INVALID_REQUEST, errors=wrong)
    invalid = [
        FieldError(f"/keys/{provider}", why)
        for provider, key in keys.items()
        if key is not None and (why := find_key_error(Provider(provider), key))
    ]
    if invalid:
        raise ApiError(Reason.AGENT_KEY_INVALID, errors=invalid)


def _build_validation_rules(agent: Agent) -> Sequence[tuple[str, bool, str]]:
    return (
        (
            "/name",
            1 <= len(agent.name) <= 100 and not _CONTROL_CHARACTERS.search(agent.name),
            "is 1 to 100 characters, none of control",
        ),
        ("/priority", 1 <= agent.priority <= 10, "is 1 to 10"),
        ("/providers", 1 <= len(agent.providers) == len(set(agent.providers)), "names at least one, and none twice"),
        ("/preferences/ttl_s", 1 <= agent.ttl_s <= MAX_TTL_S, f"is 1 to {MAX_TTL_S}"),
    )


def find_key_error(provider: Provider, key: str) -> str | None:
    """What is wrong with a key, without a word of it; None for nothing."""
    try:
        known = json.loads(key)
        if provider is Provider.FCM:
            fields = ("type", "project_id", "client_email", "private_key", "token_uri")
            if not all(isinstance(known.get(name), str) for name in fields) or known["type"] != "service_account":
                return "is no service account's key file"
            return None if isinstance(_load_private_key(known["private_key"]), RSAPrivateKey) else "holds no RSA key"
        private = _load_private_key(known["private_key"])
        elliptic = isinstance(private, EllipticCurvePrivateKey) and isinstance(private.curve, SECP256R1)
        return None if elliptic else "holds no elliptic curve key on P-256"
    except (ValueError, TypeError, AttributeError, KeyError):
        return "cannot be read"


def _load_private_key(pem: str) -> object:
    return load_pem_private_key(pem.encode(), password=None)
