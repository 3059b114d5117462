"""Management of notification agents: validation, versions, keys and idempotency."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from generated.problems import Reason
from generated.proto.delivery.events.v1 import AgentChanged
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import Provider
from services.notifications.entrypoints.rpc import FIELD_POINTERS, OPTIONAL_KEYS
from services.notifications.usecases import agents
from services.notifications.usecases.agents import MAX_TTL_S, AgentPatch
from services.runtime.core.idempotency import IdempotencyKey
from services.runtime.core.preconditions import check_version
from tests.unit.fake_transactions import raises_reason
from tests.unit.notifications.fakes import AGENT, FakeAgents, FakeBackend

KEY = IdempotencyKey("root", "createAgent", "k1", b"")


def to_pem(key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


P256, P384 = to_pem(ec.generate_private_key(ec.SECP256R1())), to_pem(ec.generate_private_key(ec.SECP384R1()))
RSA = to_pem(rsa.generate_private_key(65537, 2048))
ACCOUNT = {
    "type": "service_account",
    "project_id": "p",
    "client_email": "a@b.c",
    "private_key": RSA,
    "token_uri": "https://t.test",
}


def expect(version: int) -> Callable[[int], None]:
    return lambda current: check_version({version}, current)


async def test_agent_is_created_once_per_idempotency_key() -> None:
    repository = FakeBackend(agent=None)
    responses = [
        await agents.create_agent(repository, AGENT, {}, KEY, lambda agent: agent.id.encode()) for _ in range(2)
    ]
    (agent,) = repository.agents.values()
    assert agent == replace(AGENT, id=agent.id) != AGENT
    assert repository.events == [AgentChanged(agent_id=agent.id, version=1)]
    assert [(response.data, response.replayed) for response in responses] == [
        (agent.id.encode(), False),
        (agent.id.encode(), True),
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"priority": 0}, "priority"),
        ({"priority": 11}, "priority"),
        ({"providers": ()}, "providers"),
        ({"providers": (Provider.FCM, Provider.FCM)}, "providers"),
        ({"ttl_s": 0}, "ttl_s"),
        ({"ttl_s": MAX_TTL_S + 1}, "ttl_s"),
    ],
)
async def test_invalid_agent_is_rejected(changes: dict[str, object], field: str) -> None:
    repository = FakeBackend()
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await agents.update_agent(repository, "orders", AgentPatch(changes), expect(1))
    assert [error.field for error in raised.value.errors] == [field]
    assert field in FIELD_POINTERS
    assert repository.agents == {"orders": AGENT}


async def test_update_increments_version() -> None:
    repository = FakeBackend()
    after = await agents.update_agent(repository, "orders", AgentPatch({"priority": 10}, {"fcm": None}), expect(1))
    assert after == repository.agents["orders"] == replace(AGENT, priority=10, version=2)
    assert repository.agents.keys_by_agent == {"orders": {"fcm": None}}
    assert repository.events == [AgentChanged(agent_id="orders", version=2)]


async def test_conflicting_update_changes_nothing() -> None:
    class RacingAgents(FakeAgents):
        async def save(self, agent: Agent, keys: Mapping[str, str | None]) -> bool:
            return False

    for stored, version in ((FakeAgents(AGENT), 2), (RacingAgents(AGENT), 1)):
        repository = FakeBackend()
        repository.agents = stored
        with raises_reason(Reason.PRECONDITION_FAILED):
            await agents.update_agent(repository, "orders", AgentPatch({"priority": 10}), expect(version))
        assert (repository.agents, repository.events) == ({"orders": AGENT}, [])


async def test_unknown_agent_raises() -> None:
    with raises_reason(Reason.AGENT_NOT_FOUND):
        await agents.update_agent(FakeBackend(agent=None), "orders", AgentPatch(), expect(1))


async def test_agents_are_listed_in_pages() -> None:
    repository = FakeBackend()
    repository.agents = FakeAgents(*(replace(AGENT, id=agent_id) for agent_id in "cab"))
    first = await agents.list_agents(repository, 2, "")
    last = await agents.list_agents(repository, 2, first.next_page_token or "")
    assert [agent.id for agent in [*first.items, *last.items]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("provider", "key", "error"),
    [
        (Provider.FCM, ACCOUNT, None),
        (Provider.FCM, ACCOUNT | {"type": "user"}, "must be the key file of a service account"),
        (Provider.FCM, ACCOUNT | {"project_id": 1}, "must be the key file of a service account"),
        (Provider.FCM, ACCOUNT | {"private_key": P256}, "must contain an RSA key"),
        (Provider.FCM, ACCOUNT | {"private_key": "x"}, "is malformed"),
        (Provider.FCM, [], "is malformed"),
        (Provider.APNS, {"private_key": P256}, None),
        (Provider.APNS, {"private_key": P384}, "must contain an elliptic curve key on P-256"),
        (Provider.APNS, {"private_key": RSA}, "must contain an elliptic curve key on P-256"),
        (Provider.APNS, {}, "is malformed"),
        (Provider.APNS, {"private_key": None}, "is malformed"),
    ],
)
def test_provider_key_is_checked(provider: Provider, key: object, error: str | None) -> None:
    assert agents.find_key_error(provider, json.dumps(key)) == error


async def test_invalid_key_is_rejected_without_its_content() -> None:
    repository = FakeBackend()
    with raises_reason(Reason.AGENT_KEY_INVALID) as raised:
        await agents.update_agent(repository, "orders", AgentPatch({}, {"fcm": "s3cret"}), expect(1))
    assert [error.field for error in raised.value.errors] == ["keys.fcm"]
    assert {f"keys.{provider}" for provider in OPTIONAL_KEYS} < FIELD_POINTERS.keys()
    assert "s3cret" not in str(raised.value.errors)
    assert repository.agents.keys_by_agent == {}
