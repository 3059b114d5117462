"""Agent changes: cache invalidation in every process and priority routing of urgent agents."""

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
from tests.integration.fixtures.notifications import NotificationsHarness, build_notification_request
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

URGENT_QUEUE, REQUEST_QUEUE = "notifications.urgent", "notifications.requested"


@pytest.fixture
async def harness(servers: Servers) -> AsyncIterator[NotificationsHarness]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with NotificationsHarness(servers) as harness:
        yield harness
        for queue in (URGENT_QUEUE, REQUEST_QUEUE):
            await harness.purge(queue)


@contextlib.asynccontextmanager
async def run_listeners(harness: NotificationsHarness, count: int) -> AsyncIterator[list[AgentCache]]:
    """Run agent change listeners and yield their caches, whose entries never expire by age."""
    caches = [AgentCache(harness.agents, lambda: 0.0) for _ in range(count)]
    broker = Broker(harness.broker_url, "notifications")
    tasks = [asyncio.create_task(AgentChangeListener(broker, harness.agents, cache).run()) for cache in caches]
    try:
        yield caches
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def change_agent(harness: NotificationsHarness, agent: Agent) -> None:
    """Save the agent and publish the change, as the outbox would."""
    assert await harness.save_agent(agent, {})
    await harness.publish(AgentChanged(agent_id=agent.id, version=agent.version))


async def test_agent_change_reaches_every_process(harness: NotificationsHarness) -> None:
    agent = await harness.create_agent(providers=(Provider.FCM,), priority=3)
    async with run_listeners(harness, 3) as caches:

        async def is_cached_everywhere(version: int) -> bool:
            cached = [await cache.get(agent.id) for cache in caches]
            return [each.version for each in cached if each] == [version] * 3

        await wait_until_async(lambda: is_cached_everywhere(1))
        for version in (2, 3, 4):
            changed = replace(agent, version=version, priority=version)
            assert await harness.save_agent(changed, {})

            async def is_propagated(version: int = version) -> bool:
                # Published repeatedly, since a listener may not be subscribed yet.
                await harness.publish(AgentChanged(agent_id=agent.id, version=version))
                return await is_cached_everywhere(version)

            await wait_until_async(is_propagated)


async def test_requests_are_copied_to_priority_queue_while_agent_is_urgent(
    harness: NotificationsHarness,
) -> None:
    agent = await harness.create_agent(providers=(Provider.FCM,), priority=10)
    async with run_listeners(harness, 1):

        async def is_copied() -> bool:
            before = await harness.count_messages(URGENT_QUEUE)
            await harness.publish(
                build_notification_request("ada", agent.id), build_notification_request("ada", "news")
            )
            return await harness.count_messages(URGENT_QUEUE) == before + 1

        async def is_not_copied() -> bool:
            before = await harness.count_messages(URGENT_QUEUE)
            await harness.publish(build_notification_request("ada", agent.id))
            return await harness.count_messages(URGENT_QUEUE) == before

        await wait_until_async(is_copied)
        await change_agent(harness, replace(agent, priority=7, version=2))
        await wait_until_async(is_not_copied)
        assert await harness.count_messages(REQUEST_QUEUE) > await harness.count_messages(URGENT_QUEUE)
