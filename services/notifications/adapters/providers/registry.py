"""Every provider: ours, and those that agents bring their own keys for."""

import json
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from services.notifications.adapters.providers.apns import ApnsClient, ApnsKey
from services.notifications.adapters.providers.circuit_breaker import CircuitBreaker
from services.notifications.adapters.providers.fcm import FcmClient
from services.notifications.adapters.providers.metrics import InstrumentedCircuitBreaker
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import Provider
from services.notifications.usecases.ports import MailClient, ProviderKeys, PushClient


class ProviderKeyRepository(Protocol):
    """Where agents' keys are."""

    async def get_keys(self, agent_id: str) -> ProviderKeys:
        """What the agent signs in with."""


class _AgentClients(NamedTuple):
    """What one version of an agent sends by."""

    version: int
    clients: Mapping[Provider, FcmClient | ApnsClient]


class ProviderClientRegistry:
    """Looks up who carries an agent's pushes; what an agent's own keys open is kept until the agent changes."""

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
        self._breakers: dict[tuple[str, Provider], CircuitBreaker] = {}

    def register_apns(self, key: ApnsKey) -> None:
        """From now on we reach Apple."""
        self._default_clients[Provider.APNS] = ApnsClient(self._apns_url, key)

    async def get_push_client(self, agent: Agent, provider: Provider) -> PushClient | None:
        """Who carries the agent's pushes there; None when nobody does."""
        own = self._agent_clients.get(agent.id)
        if own is None or own.version < agent.version:
            keys = await self._key_repository.get_keys(agent.id)
            own = self._agent_clients.get(agent.id)  # somebody else may have been quicker
            if own is None or own.version < agent.version:
                before, own = own, _AgentClients(agent.version, self._create_clients(keys))
                self._agent_clients[agent.id] = own
                await _close_all(before.clients if before else {})
        return own.clients.get(provider) or self._default_clients.get(provider)

    def _create_clients(self, keys: ProviderKeys) -> dict[Provider, FcmClient | ApnsClient]:
        opened: dict[Provider, FcmClient | ApnsClient] = {}
        if keys.fcm is not None:
            # Where tokens come from is ours to say: a key file could name any address.
            account = json.loads(keys.fcm) | {"token_uri": self._service_account["token_uri"]}
            opened[Provider.FCM] = FcmClient(account, self._fcm_url)
        if keys.apns is not None:
            opened[Provider.APNS] = ApnsClient(self._apns_url, ApnsKey(**json.loads(keys.apns)))
        return opened

    def get_breaker(self, agent: Agent, provider: Provider) -> CircuitBreaker:
        """The provider's gate, which agents with keys of their own have for themselves."""
        own = self._agent_clients.get(agent.id)
        owner = agent.id if own is not None and provider in own.clients else ""
        return self._breakers.setdefault((owner, provider), InstrumentedCircuitBreaker(provider))

    def list_breakers(self) -> list[tuple[Provider, CircuitBreaker]]:
        """Every gate that somebody has come to."""
        return [(provider, gate) for (_, provider), gate in self._breakers.items()]

    async def close(self) -> None:
        """Closes every connection."""
        for carriers in (self._default_clients, *(own.clients for own in self._agent_clients.values())):
            await _close_all(carriers)


async def _close_all(clients: Mapping[Provider, FcmClient | ApnsClient]) -> None:
    for carrier in clients.values():
        await carrier.close()
