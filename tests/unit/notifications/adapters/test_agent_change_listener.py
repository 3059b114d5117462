"""Refresh of the bindings of agents: after subscribing, after a change, and after an outage of the database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from generated.events import AGENT_CHANGED
from generated.problems import Reason
from generated.proto.delivery.events.v1 import AgentChanged
from services.notifications.adapters import agent_change_listener
from services.notifications.adapters.agent_cache import AgentCache
from services.notifications.adapters.agent_change_listener import PAGE_SIZE, AgentChangeListener
from services.notifications.domain.agents import Agent
from services.notifications.domain.notifications import Provider
from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import BrokerUnavailable
from tests.integration.fixtures.background_tasks import run_in_background
from tests.wait import wait_until_async

URGENT, NORMAL = 10, 1
UNAVAILABLE = ApiError(Reason.UPSTREAM_UNAVAILABLE)


def build_agent(agent_id: str, priority: int) -> Agent:
    return Agent(agent_id, agent_id, priority, (Provider.FCM,), ttl_s=60, enabled=True)


class FakeChannel:
    """Channel that receives the events of `changes` and records the subjects that are bound."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[str] = asyncio.Queue()
        self.bound: set[str] = set()
        self.is_lost = False

    async def declare_exclusive_queue(self) -> str:
        return "agents"

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Accept the binding of the exclusive queue."""

    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[Any]:
        while agent_id := await self.changes.get():
            body = AGENT_CHANGED.encode(AgentChanged(agent_id=agent_id, version=2))
            yield type("Message", (), {"body": body})
        raise BrokerUnavailable("connection lost")

    def acknowledge(self, message: object) -> None:
        """Accept the acknowledgement."""

    async def bind_priority_subject(self, priority_queue: str, subject: str) -> None:
        if self.is_lost:
            raise BrokerUnavailable("connection lost")
        self.bound.add(subject)

    async def unbind_priority_subject(self, priority_queue: str, subject: str) -> None:
        self.bound.discard(subject)


class FakeBroker:
    """Broker that opens the next of its channels when the channel is lost."""

    def __init__(self, *channels: FakeChannel) -> None:
        self.channels = channels

    async def run_with_reconnect(self, work: Callable[[Any], Awaitable[None]]) -> None:
        for channel in self.channels:
            with pytest.raises(BrokerUnavailable):
                await work(channel)


class FakeAgents:
    """Repository of agents by id. Raises the errors of `errors` first."""

    def __init__(self, *agents: Agent, errors: Sequence[ApiError] = ()) -> None:
        self.agents = {agent.id: agent for agent in agents}
        self.errors = [*errors]

    async def get(self, key: str) -> Agent | None:
        if self.errors:
            raise self.errors.pop()
        return self.agents.get(key)

    async def list_after(self, key: str, limit: int) -> Sequence[Agent]:
        if self.errors:
            raise self.errors.pop()
        return [self.agents[each] for each in sorted(self.agents) if each > key][:limit]


def create_listener(broker: Any, agents: Any) -> AgentChangeListener:
    return AgentChangeListener(broker, agents, AgentCache(agents))


async def test_urgent_agents_of_all_pages_are_bound_after_subscribing() -> None:
    agents = [build_agent(f"a{number:03}", URGENT) for number in range(PAGE_SIZE + 1)]
    channel = FakeChannel()
    channel.bound.add("news")
    async with run_in_background(
        create_listener(FakeBroker(channel), FakeAgents(*agents, build_agent("news", NORMAL))).run()
    ):
        await wait_until_async(lambda: channel.bound == {agent.id for agent in agents}, 2)


async def test_binding_follows_changed_priority() -> None:
    channel, agents = FakeChannel(), FakeAgents(build_agent("orders", URGENT))
    async with run_in_background(create_listener(FakeBroker(channel), agents).run()):
        await wait_until_async(lambda: channel.bound == {"orders"}, 2)
        agents.agents["orders"] = replace(agents.agents["orders"], priority=NORMAL)
        channel.changes.put_nowait("orders")
        await wait_until_async(lambda: not channel.bound, 2)


async def test_failed_refresh_is_retried_before_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_change_listener, "RETRY_INTERVAL_S", 0.01)
    channel = FakeChannel()
    agents = FakeAgents(build_agent("orders", URGENT), errors=[UNAVAILABLE, UNAVAILABLE])
    async with run_in_background(create_listener(FakeBroker(channel), agents).run()):
        await wait_until_async(lambda: channel.bound == {"orders"}, 2)


async def test_failed_change_refreshes_all_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_change_listener, "RETRY_INTERVAL_S", 0.01)
    channel, agents = FakeChannel(), FakeAgents(build_agent("orders", URGENT))
    async with run_in_background(create_listener(FakeBroker(channel), agents).run()):
        await wait_until_async(lambda: channel.bound == {"orders"}, 2)
        agents.agents["mails"] = build_agent("mails", URGENT)
        agents.errors.append(UNAVAILABLE)
        channel.changes.put_nowait("mails")
        await wait_until_async(lambda: channel.bound == {"orders", "mails"}, 2)


async def test_agents_are_refreshed_on_next_channel(caplog: pytest.LogCaptureFixture) -> None:
    first, second = FakeChannel(), FakeChannel()
    first.is_lost = True
    agents = FakeAgents(build_agent("orders", URGENT))
    async with run_in_background(create_listener(FakeBroker(first, second), agents).run()):
        first.changes.put_nowait("")
        await wait_until_async(lambda: second.bound == {"orders"}, 2)
    assert caplog.records == []


async def test_lost_bindings_are_restored_periodically(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_change_listener, "REFRESH_INTERVAL_S", 0.01)
    channel = FakeChannel()
    async with run_in_background(create_listener(FakeBroker(channel), FakeAgents(build_agent("orders", URGENT))).run()):
        await wait_until_async(lambda: channel.bound == {"orders"}, 2)
        channel.bound.clear()
        await wait_until_async(lambda: channel.bound == {"orders"}, 2)
