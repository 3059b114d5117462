"""A change of an agent reaches every process at once, and the broker lets the requests of urgent ones overtake."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from generated.proto.delivery.events.v1 import AgentChanged
from services.notifications.adapters.agent_cache import AgentCache
from services.notifications.adapters.agent_change_listener import AgentChangeListener
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import Provider
from services.runtime.messaging.connection import Broker
from services.runtime.storage import migrations
from tests.integration.fixtures.notifications import NotificationsHarness, build_notification_request, wait_until
from tests.integration.fixtures.servers import Servers

URGENT, ORDINARY = "notifications.urgent", "notifications.requested"


@pytest.fixture
async def service(servers: Servers) -> AsyncIterator[NotificationsHarness]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with NotificationsHarness(servers) as made:
        yield made
        for queue in (URGENT, ORDINARY):
            await made.purge(queue)


@contextlib.asynccontextmanager
async def processes(service: NotificationsHarness, many: int) -> AsyncIterator[list[AgentCache]]:
    """What each of them knows of agents. No copy grows old."""
    caches = [AgentCache(service.agents, lambda: 0.0) for _ in range(many)]
    broker = Broker(service.broker_url, "test")
    tasks = [asyncio.create_task(AgentChangeListener(broker, service.agents, cache).run()) for cache in caches]
    try:
        yield caches
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def change(service: NotificationsHarness, agent: Agent) -> None:
    """As the outbox would tell of it."""
    assert await service.agents.save_agent(agent, {})
    await service.publish(AgentChanged(agent_id=agent.id, version=agent.version))


async def test_every_process_hears_of_a_change(service: NotificationsHarness) -> None:
    agent = await service.create_agent(providers=(Provider.FCM,), priority=3)
    async with processes(service, 3) as caches:

        async def all_know(version: int) -> bool:
            known = [await cache.get_agent(agent.id) for cache in caches]
            return [one.version for one in known if one] == [version] * 3

        await wait_until(lambda: all_know(1))
        for version in (2, 3, 4):
            changed = replace(agent, version=version, priority=version)
            assert await service.agents.save_agent(changed, {})

            async def told(version: int = version) -> bool:
                # Whoever has not begun to listen hears the next one.
                await service.publish(AgentChanged(agent_id=agent.id, version=version))
                return await all_know(version)

            await wait_until(told)


async def test_requests_of_urgent_agents_are_copied_for_as_long_as_they_are_urgent(
    service: NotificationsHarness,
) -> None:
    agent = await service.create_agent(providers=(Provider.FCM,), priority=10)
    async with processes(service, 1):

        async def copied() -> bool:
            before = await service.count_messages(URGENT)
            await service.publish(
                build_notification_request("ada", agent.id), build_notification_request("ada", "news")
            )
            return await service.count_messages(URGENT) == before + 1

        async def not_copied() -> bool:
            before = await service.count_messages(URGENT)
            await service.publish(build_notification_request("ada", agent.id))
            return await service.count_messages(URGENT) == before

        await wait_until(copied)
        await change(service, replace(agent, priority=7, version=2))
        await wait_until(not_copied)
        assert await service.count_messages(ORDINARY) > await service.count_messages(URGENT)
