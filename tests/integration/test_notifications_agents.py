"""A change of an agent reaches every process at once, and the broker lets the requests of urgent ones overtake."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from generated.proto.delivery.events.v1 import AgentChanged
from services.notifications.cache import CachedAgents
from services.notifications.changes import AgentChanges
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import Provider
from services.runtime import migrations
from services.runtime.broker import Broker
from tests.integration.notifications_service import Service, request, until
from tests.integration.servers import Servers

URGENT, ORDINARY = "notifications.urgent", "notifications.requested"


@pytest.fixture
async def service(servers: Servers) -> AsyncIterator[Service]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with Service(servers) as made:
        yield made
        for queue in (URGENT, ORDINARY):
            await made.purge(queue)


@contextlib.asynccontextmanager
async def processes(service: Service, many: int) -> AsyncIterator[list[CachedAgents]]:
    """What each of them knows of agents. No copy grows old."""
    caches = [CachedAgents(service.agents, lambda: 0.0) for _ in range(many)]
    broker = Broker(service.broker_url, "test")
    tasks = [asyncio.create_task(AgentChanges(broker, service.agents, cache).run()) for cache in caches]
    try:
        yield caches
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def change(service: Service, agent: Agent) -> None:
    """As the outbox would tell of it."""
    assert await service.agents.save_agent(agent, {})
    await service.publish(AgentChanged(agent_id=agent.id, version=agent.version))


async def test_every_process_hears_of_a_change(service: Service) -> None:
    agent = await service.agent(providers=(Provider.FCM,), priority=3)
    async with processes(service, 3) as caches:

        async def all_know(version: int) -> bool:
            known = [await cache.agent(agent.id) for cache in caches]
            return [one.version for one in known if one] == [version] * 3

        await until(lambda: all_know(1))
        for version in (2, 3, 4):
            changed = replace(agent, version=version, priority=version)
            assert await service.agents.save_agent(changed, {})

            async def told(version: int = version) -> bool:
                # Whoever has not begun to listen hears the next one.
                await service.publish(AgentChanged(agent_id=agent.id, version=version))
                return await all_know(version)

            await until(told)


async def test_requests_of_urgent_agents_are_copied_for_as_long_as_they_are_urgent(service: Service) -> None:
    agent = await service.agent(providers=(Provider.FCM,), priority=10)
    async with processes(service, 1):

        async def copied() -> bool:
            before = await service.waiting(URGENT)
            await service.publish(request("ada", agent.id), request("ada", "news"))
            return await service.waiting(URGENT) == before + 1

        async def not_copied() -> bool:
            before = await service.waiting(URGENT)
            await service.publish(request("ada", agent.id))
            return await service.waiting(URGENT) == before

        await until(copied)
        await change(service, replace(agent, priority=7, version=2))
        await until(not_copied)
        assert await service.waiting(ORDINARY) > await service.waiting(URGENT)
