"""Every provider: ours, and those that agents bring their own keys for."""

import json
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import Provider
from services.notifications.providers.apns import Apns, Key
from services.notifications.providers.breaker import Breaker
from services.notifications.providers.counts import Gate
from services.notifications.providers.fcm import Fcm
from services.notifications.usecases.ports import Keys, MailCarrier, PushCarrier


class KeyStore(Protocol):
    """Where agents' keys are."""

    async def keys(self, agent_id: str) -> Keys:
        """What the agent signs in with."""


class _Own(NamedTuple):
    """What one version of an agent sends by."""

    version: int
    carriers: Mapping[Provider, Fcm | Apns]


class ProviderCarriers:
    """Looks up who carries an agent's pushes; what an agent's own keys open is kept until the agent changes."""

    def __init__(
        self, keys: KeyStore, mailer: MailCarrier, fcm: Mapping[str, str], fcm_url: str, apns_url: str
    ) -> None:
        self.mailer = mailer
        self._keys = keys
        self._account = fcm
        self._fcm_url = fcm_url
        self._apns_url = apns_url
        self._ours: dict[Provider, Fcm | Apns] = {Provider.FCM: Fcm(fcm, fcm_url)}
        self._own: dict[str, _Own] = {}
        self._gates: dict[tuple[str, Provider], Breaker] = {}

    def add_apns(self, key: Key) -> None:
        """From now on we reach Apple."""
        self._ours[Provider.APNS] = Apns(self._apns_url, key)

    async def pusher(self, agent: Agent, provider: Provider) -> PushCarrier | None:
        """Who carries the agent's pushes there; None when nobody does."""
        own = self._own.get(agent.id)
        if own is None or own.version < agent.version:
            keys = await self._keys.keys(agent.id)
            own = self._own.get(agent.id)  # somebody else may have been quicker
            if own is None or own.version < agent.version:
                before, own = own, _Own(agent.version, self._open(keys))
                self._own[agent.id] = own
                await _close(before.carriers if before else {})
        return own.carriers.get(provider) or self._ours.get(provider)

    def _open(self, keys: Keys) -> dict[Provider, Fcm | Apns]:
        opened: dict[Provider, Fcm | Apns] = {}
        if keys.fcm is not None:
            # Where tokens come from is ours to say: a key file could name any address.
            account = json.loads(keys.fcm) | {"token_uri": self._account["token_uri"]}
            opened[Provider.FCM] = Fcm(account, self._fcm_url)
        if keys.apns is not None:
            opened[Provider.APNS] = Apns(self._apns_url, Key(**json.loads(keys.apns)))
        return opened

    def gate(self, agent: Agent, provider: Provider) -> Breaker:
        """The provider's gate, which agents with keys of their own have for themselves."""
        own = self._own.get(agent.id)
        owner = agent.id if own is not None and provider in own.carriers else ""
        return self._gates.setdefault((owner, provider), Gate(provider))

    def gates(self) -> list[tuple[Provider, Breaker]]:
        """Every gate that somebody has come to."""
        return [(provider, gate) for (_, provider), gate in self._gates.items()]

    async def close(self) -> None:
        """Closes every connection."""
        for carriers in (self._ours, *(own.carriers for own in self._own.values())):
            await _close(carriers)


async def _close(carriers: Mapping[Provider, Fcm | Apns]) -> None:
    for carrier in carriers.values():
        await carrier.close()
