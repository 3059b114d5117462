"""The notifications service in the test's own process, on real servers and the sandbox."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import pika

from generated.events import EVENTS, NotificationsEvent
from generated.proto.delivery.events.v1 import NotificationRequested, OrderFacts, OrderPaid, UserRegistered
from services.notifications.app import Settings, serve
from services.notifications.documents import NotificationsDocuments
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import Notification, Status
from services.notifications.queue import PostgresQueue
from services.notifications.store import AgentsStore, UsersStore
from services.notifications.usecases.ports import AgentUnit, Wanted
from services.runtime import documents, migrations
from services.runtime.broker import Broker
from services.runtime.database import Database
from services.runtime.events import Envelope
from services.runtime.outbox import Outbox
from services.runtime.vault import Vault
from tests.integration.servers import Servers


async def until(probe: Callable[[], Awaitable[bool]], seconds: float = 20, every: float = 0.02) -> None:
    async with asyncio.timeout(seconds):
        while not await probe():
            await asyncio.sleep(every)


def name() -> str:
    return f"u{secrets.token_hex(6)}"


class Service:
    """The service's stores, its neighbours, and the broker's side of it."""

    def __init__(self, servers: Servers) -> None:
        settings = servers.settings("notifications")
        self.vault = Vault(settings["ENCRYPTION_KEY"])
        self.database = Database(settings["DATABASE_URL"])
        self.client, collections = documents.connect(settings["DOCUMENTS_URL"])
        self.history = NotificationsDocuments(collections)
        outbox = Outbox[NotificationsEvent](EVENTS)
        self.users, self.agents = UsersStore(self.database), AgentsStore(self.database, outbox, self.vault)
        self.queue = PostgresQueue(self.database, outbox, self.vault)
        self.broker_url = servers.settings("notifications")["BROKER_URL"]
        self.broker = Broker(servers.settings("gateway")["BROKER_URL"], "test")
        self.world = httpx.AsyncClient(base_url=servers.state.sandbox, trust_env=False)
        self.smtp = settings["SMTP_URL"]

    async def __aenter__(self) -> Self:
        await self.database.__aenter__()
        await self.history.prepare()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.world.aclose()
        await self.client.close()
        await self.database.__aexit__()

    async def publish(self, *events: Any) -> list[str]:
        """Publishes events as their services would; their ids."""
        envelopes = [envelope(event) for event in events]
        async with self.broker.channel() as channel:
            for start in range(0, len(envelopes), 500):
                await channel.publish_all(envelopes[start : start + 500])
        return [made.id for made in envelopes]

    async def waiting(self, queue: str) -> int:
        """How many messages wait in the broker, untouched."""
        return await asyncio.to_thread(_count, self.broker_url, queue, purge=False)

    async def purge(self, queue: str) -> None:
        """Lets go of them."""
        await asyncio.to_thread(_count, self.broker_url, queue, purge=True)

    async def person(self, *tokens: str, **profile: Any) -> str:
        """A user with these devices, the first one the newest."""
        user = name()
        for version, token in enumerate(reversed(tokens or [""]), start=1):
            event: dict[str, Any] = {"user_id": user, "email": f"{user}@delivery.test", "version": version} | profile
            await self.publish(UserRegistered(**event, notif_token=token or None))

        async def known() -> bool:
            return await self.users.user(user) is not None and len(await self.users.devices(user)) == len(tokens)

        await until(known)
        return user

    async def fault(self, provider: str, mode: str, count: int | None = None) -> None:
        body: dict[str, object] = {"provider": provider, "mode": mode} | ({"count": count} if count else {})
        (await self.world.put("/push/fault", json=body)).raise_for_status()

    async def shown(self, token: str) -> list[dict[str, Any]]:
        return (await self.world.get(f"/devices/{token}/messages")).json()  # type: ignore[no-any-return]

    async def mails(self, address: str) -> list[dict[str, Any]]:
        return (await self.world.get(f"/mailbox/{address}")).json()  # type: ignore[no-any-return]

    async def outcome(self, user: str, event_id: str, seconds: float = 20) -> Notification:
        """The notification once it has ended."""
        found: list[Notification] = []

        async def ended() -> bool:
            kept = await self.history.find(Wanted(user_id=user), 100, None, mails=True)
            found[:] = [one for one in kept if one.id == event_id and one.status is not Status.QUEUED]
            return bool(found)

        await until(ended, seconds)
        return found[0]

    async def agent(self, **changes: Any) -> Agent:
        made: dict[str, Any] = {"id": name(), "name": "A", "priority": 5, "ttl_s": 600, "enabled": True} | changes
        agent = Agent(**made)

        async def work(unit: AgentUnit) -> bytes:
            await unit.add_agent(agent, {})
            return b""

        await self.agents.once(None, work)
        return agent


def _count(url: str, queue: str, *, purge: bool) -> int:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        if purge:
            channel.queue_purge(queue)
        return int(channel.queue_declare(queue, passive=True).method.message_count)


def envelope(event: Any) -> Envelope:
    kind = EVENTS[type(event)]
    return Envelope(str(uuid4()), "/test", kind.type, kind.subject(event), datetime.now(UTC), {}, kind.encode(event))


def paid(user: str) -> OrderPaid:
    facts = OrderFacts(order_id="o1", version=2, customer_id=user, partner_id=1, partner_title="Green Bowl")
    return OrderPaid(order=facts, payment_id="p1")


def request(user: str, agent: str, title: str = "Hello") -> NotificationRequested:
    values = {"title": title, "body": "There is news."}
    return NotificationRequested(user_id=user, agent_id=agent, template="announcement", values=values)


@contextlib.asynccontextmanager
async def running(servers: Servers, folder: Path, **told: str) -> AsyncIterator[Service]:
    """The service, serving; `told` are settings of its own."""
    environment: Mapping[str, str] = servers.settings("notifications") | told
    migrations.migrate("notifications", environment["DATABASE_URL"])
    known = {field: environment[field.upper()] for field in Settings.model_fields if field.upper() in environment}
    settings = Settings.model_validate(known | {"service_socket": folder / "n.sock", "drain_seconds": 0})
    stop = asyncio.Event()

    async def stopped() -> None:
        await stop.wait()

    async with Service(servers) as service:
        task = asyncio.create_task(serve(settings, stopped))
        try:
            yield service
        finally:
            stop.set()
            await task
