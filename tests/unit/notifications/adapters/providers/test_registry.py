"""Provider clients and circuit breakers of agents with and without own keys."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.notifications.adapters.providers.apns import ApnsClient, ApnsKey
from services.notifications.adapters.providers.fcm import FcmClient
from services.notifications.adapters.providers.registry import ProviderClientRegistry
from services.notifications.domain.agents import ProviderKeys
from services.notifications.domain.notifications import Provider
from services.notifications.usecases.deliver import MailClient
from tests.unit.notifications.fakes import AGENT

APNS_KEY = ApnsKey("KEY0000001", "TEAM000001", "test.delivery.app", "pem")
OTHER_AGENT = replace(AGENT, id="other")


class FakeKeyRepository:
    """Keys by agent. Counts reads, and waits for `is_released`."""

    def __init__(self) -> None:
        self.keys: dict[str, ProviderKeys] = {}
        self.reads = 0
        self.is_released = asyncio.Event()
        self.is_released.set()

    async def get_keys(self, agent_id: str) -> ProviderKeys:
        self.reads += 1
        await self.is_released.wait()
        return self.keys.get(agent_id, ProviderKeys())


@pytest.fixture(scope="session")
def service_account() -> dict[str, str]:
    """Return the key file of a service account."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "type": "service_account",
        "project_id": "delivery-local",
        "client_email": "fcm@delivery.test",
        "token_uri": "https://token.test",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    }


@pytest.fixture
def key_repository() -> FakeKeyRepository:
    return FakeKeyRepository()


def create_registry(key_repository: FakeKeyRepository, service_account: dict[str, str]) -> ProviderClientRegistry:
    return ProviderClientRegistry(
        key_repository, cast(MailClient, None), service_account, "https://fcm.test", "https://apns.test"
    )


@pytest.fixture
async def registry(
    key_repository: FakeKeyRepository, service_account: dict[str, str]
) -> AsyncIterator[ProviderClientRegistry]:
    registry = create_registry(key_repository, service_account)
    yield registry
    await registry.close()


def apns_keys(**changes: str) -> ProviderKeys:
    return ProviderKeys(apns=json.dumps(APNS_KEY._asdict() | changes))


async def test_default_client_is_shared_by_agents_without_keys(registry: ProviderClientRegistry) -> None:
    client = await registry.get_push_client(AGENT, Provider.FCM)
    assert isinstance(client, FcmClient)
    assert await registry.get_push_client(OTHER_AGENT, Provider.FCM) is client


async def test_provider_without_any_key_has_no_client(registry: ProviderClientRegistry) -> None:
    assert await registry.get_push_client(AGENT, Provider.APNS) is None
    registry.register_apns(APNS_KEY)
    assert isinstance(await registry.get_push_client(AGENT, Provider.APNS), ApnsClient)


async def test_own_keys_take_precedence_for_their_provider(
    registry: ProviderClientRegistry, key_repository: FakeKeyRepository
) -> None:
    registry.register_apns(APNS_KEY)
    key_repository.keys[AGENT.id] = apns_keys(key_id="OWNKEY0001")
    own: Any = await registry.get_push_client(AGENT, Provider.APNS)
    default: Any = await registry.get_push_client(OTHER_AGENT, Provider.APNS)
    assert (own._key.key_id, default._key.key_id) == ("OWNKEY0001", "KEY0000001")
    assert await registry.get_push_client(AGENT, Provider.FCM) is await registry.get_push_client(
        OTHER_AGENT, Provider.FCM
    )


async def test_keys_are_read_once_per_version(
    registry: ProviderClientRegistry, key_repository: FakeKeyRepository
) -> None:
    key_repository.keys[AGENT.id] = apns_keys()
    first = await registry.get_push_client(AGENT, Provider.APNS)
    assert await registry.get_push_client(AGENT, Provider.APNS) is first
    assert key_repository.reads == 1


async def test_new_version_replaces_and_closes_the_clients(
    registry: ProviderClientRegistry, key_repository: FakeKeyRepository
) -> None:
    key_repository.keys[AGENT.id] = apns_keys()
    first: Any = await registry.get_push_client(AGENT, Provider.APNS)
    key_repository.keys[AGENT.id] = apns_keys(key_id="NEWKEY0001")
    second: Any = await registry.get_push_client(replace(AGENT, version=2), Provider.APNS)
    assert second._key.key_id == "NEWKEY0001"
    assert first._client.is_closed
    assert await registry.get_push_client(AGENT, Provider.APNS) is second, "an older version does not bring back keys"


async def test_removed_keys_restore_the_default_client(
    registry: ProviderClientRegistry, key_repository: FakeKeyRepository
) -> None:
    key_repository.keys[AGENT.id] = apns_keys()
    await registry.get_push_client(AGENT, Provider.APNS)
    key_repository.keys.clear()
    assert await registry.get_push_client(replace(AGENT, version=2), Provider.APNS) is None


async def test_concurrent_calls_share_the_created_clients(
    registry: ProviderClientRegistry, key_repository: FakeKeyRepository
) -> None:
    key_repository.keys[AGENT.id] = apns_keys()
    key_repository.is_released.clear()
    tasks = [asyncio.create_task(registry.get_push_client(AGENT, Provider.APNS)) for _ in range(3)]
    await asyncio.sleep(0)
    key_repository.is_released.set()
    clients = await asyncio.gather(*tasks)
    assert len({id(client) for client in clients}) == 1
    assert not cast(Any, clients[0])._client.is_closed


async def test_token_endpoint_of_an_agents_account_is_not_used(
    registry: ProviderClientRegistry, key_repository: FakeKeyRepository, service_account: dict[str, str]
) -> None:
    account = service_account | {"token_uri": "http://169.254.169.254/", "project_id": "own-project"}
    key_repository.keys[AGENT.id] = ProviderKeys(fcm=json.dumps(account))
    client: Any = await registry.get_push_client(AGENT, Provider.FCM)
    assert client._token._credentials._token_uri == "https://token.test"
    assert "/projects/own-project/" in str(client._url)


async def test_agent_with_own_keys_has_a_breaker_of_its_own(
    registry: ProviderClientRegistry, key_repository: FakeKeyRepository
) -> None:
    key_repository.keys[AGENT.id] = apns_keys()
    for agent in (AGENT, OTHER_AGENT):
        await registry.get_push_client(agent, Provider.APNS)
    own = registry.get_breaker(AGENT, Provider.APNS)
    assert registry.get_breaker(AGENT, Provider.APNS) is own
    assert registry.get_breaker(OTHER_AGENT, Provider.APNS) is not own
    assert registry.get_breaker(AGENT, Provider.FCM) is registry.get_breaker(OTHER_AGENT, Provider.FCM)
    assert sorted(provider for provider, _ in registry.list_breakers()) == [Provider.APNS, Provider.APNS, Provider.FCM]


async def test_breakers_of_providers_are_independent(registry: ProviderClientRegistry) -> None:
    assert registry.list_breakers() == []
    assert registry.get_breaker(AGENT, Provider.FCM) is not registry.get_breaker(AGENT, Provider.EMAIL)


async def test_close_closes_all_clients(key_repository: FakeKeyRepository, service_account: dict[str, str]) -> None:
    registry = create_registry(key_repository, service_account)
    registry.register_apns(APNS_KEY)
    key_repository.keys[AGENT.id] = apns_keys()
    clients: list[Any] = [await registry.get_push_client(agent, Provider.APNS) for agent in (AGENT, OTHER_AGENT)]
    await registry.close()
    assert all(client._client.is_closed for client in clients)
