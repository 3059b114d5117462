"""Registry of provider clients: the default ones and those with an agent's own keys."""

import json
from collections.abc import Mapping
from typing import NamedTuple, Protocol, override

from services.notifications.adapters.providers.apns import ApnsClient, ApnsKey
from services.notifications.adapters.providers.circuit_breaker import InMemoryCircuitBreaker
from services.notifications.adapters.providers.fcm import FcmClient
from services.notifications.adapters.providers.metrics import InstrumentedCircuitBreaker
from services.notifications.domain.agents import Agent, ProviderKeys
from services.notifications.domain.notifications import Provider
from services.notifications.usecases.deliver import MailClient, ProviderRegistry, PushClient


class ProviderKeyRepository(Protocol):
    """Read access to the agents' provider keys."""

    async def get_keys(self, agent_id: str) -> ProviderKeys:
        """Return the agent's own provider credentials."""


class _AgentClients(NamedTuple):
    """Clients with the own keys of one version of an agent."""

    version: int
    clients: Mapping[Provider, FcmClient | ApnsClient]


class ProviderClientRegistry(ProviderRegistry):
    """Registry of provider clients and circuit breakers; an agent's own clients are cached until the agent changes."""

    def __init__(
        self,
        key_repository: ProviderKeyRepository,
        mail_client: MailClient,
        service_account: Mapping[str, str],
        fcm_url: str,
        apns_url: str,
    ) -> None:
        self.mail_client = mail_client
        self._key_repository = key_repository
        self._service_account = service_account
        self._fcm_url = fcm_url
        self._apns_url = apns_url
        self._default_clients: dict[Provider, FcmClient | ApnsClient] = {
            Provider.FCM: FcmClient(service_account, fcm_url)
        }
        self._agent_clients: dict[str, _AgentClients] = {}
        self._breakers: dict[tuple[str, Provider], InMemoryCircuitBreaker] = {}

    def register_apns(self, key: ApnsKey) -> None:
        """Register the default APNs client."""
        self._default_clients[Provider.APNS] = ApnsClient(self._apns_url, key)

    @override
    async def get_push_client(self, agent: Agent, provider: Provider) -> PushClient | None:
        """Return the agent's own client of the provider, else the default one, else None."""
        own = self._agent_clients.get(agent.id)
        if own is None or own.version < agent.version:
            keys = await self._key_repository.get_keys(agent.id)
            own = self._agent_clients.get(agent.id)  # a concurrent call may have created them
            if own is None or own.version < agent.version:
                previous, own = own, _AgentClients(agent.version, self._create_clients(keys))
                self._agent_clients[agent.id] = own
                await _close_all(previous.clients if previous else {})
        return own.clients.get(provider) or self._default_clients.get(provider)

    def _create_clients(self, keys: ProviderKeys) -> dict[Provider, FcmClient | ApnsClient]:
        clients: dict[Provider, FcmClient | ApnsClient] = {}
        if keys.fcm is not None:
            # The token endpoint is not read from the key file, which could contain an arbitrary address (SSRF).
            account = json.loads(keys.fcm) | {"token_uri": self._service_account["token_uri"]}
            clients[Provider.FCM] = FcmClient(account, self._fcm_url)
        if keys.apns is not None:
            clients[Provider.APNS] = ApnsClient(self._apns_url, ApnsKey(**json.loads(keys.apns)))
        return clients

    @override
    def get_breaker(self, agent: Agent, provider: Provider) -> InMemoryCircuitBreaker:
        """Return the circuit breaker of the provider; agents with own keys have one of their own."""
        own = self._agent_clients.get(agent.id)
        owner = agent.id if own is not None and provider in own.clients else ""
        return self._breakers.setdefault((owner, provider), InstrumentedCircuitBreaker(provider))

    def list_breakers(self) -> list[tuple[Provider, InMemoryCircuitBreaker]]:
        """Return the circuit breakers in use, with their providers."""
        return [(provider, breaker) for (_, provider), breaker in self._breakers.items()]

    async def close(self) -> None:
        """Close all clients."""
        for clients in (self._default_clients, *(own.clients for own in self._agent_clients.values())):
            await _close_all(clients)


async def _close_all(clients: Mapping[Provider, FcmClient | ApnsClient]) -> None:
    for client in clients.values():
        await client.close()
