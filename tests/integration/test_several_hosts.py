"""Clients with several hosts, of which one does not respond or fails: PostgreSQL, RabbitMQ and Memcached."""

import asyncio
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import text

from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import Channel
from services.runtime.messaging.connection import Broker
from services.runtime.storage import migrations
from services.runtime.storage.database import Database
from services.runtime.storage.listener import Listener
from services.runtime.storage.memcached import NODE_RETRY_INTERVAL_S, Memcached
from services.runtime.storage.statements.statement import Statement
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

UNUSED = "127.0.0.1:1"
KEYS = [f"several-hosts-{number}" for number in range(20)]
"""So many that each of two nodes stores some of them."""


def add_unavailable_host(url: str) -> str:
    """Return a URL whose first host has no server."""
    return re.sub(r"(?<=@)", f"{UNUSED},", url)


@pytest.fixture
def database_url(servers: Servers) -> str:
    return add_unavailable_host(servers.settings("orders")["DATABASE_URL"])


async def test_database_and_migrations_use_the_available_host(database_url: str) -> None:
    async with Database(database_url) as database:
        row = await database.fetch_one(Statement(text("SELECT pg_is_in_recovery() AS is_standby")))
    assert row == {"is_standby": False}
    await asyncio.to_thread(migrations.migrate, "orders", database_url)
    assert [*await asyncio.to_thread(migrations.list_pending, "orders", database_url)] == []


async def test_listener_uses_the_available_host(database_url: str) -> None:
    listener = Listener(database_url, "test", on_notification=lambda _: None, on_state_change=lambda: None)

    async def is_listening() -> bool:
        return listener.is_listening

    async with run_in_background(listener.run()):
        await wait_until_async(is_listening)


async def test_broker_connects_to_the_next_host_after_a_failure(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "randrange", lambda _: 0)
    opened = asyncio.Event()

    async def work(_: Channel) -> None:
        opened.set()
        await asyncio.Event().wait()

    broker = Broker(add_unavailable_host(servers.settings("partners")["BROKER_URL"]), "partners")
    async with run_in_background(broker.run_with_reconnect(work)), asyncio.timeout(10):
        await opened.wait()


@pytest.fixture
def nodes(servers: Servers) -> Iterator[list[FaultProxy]]:
    """Two proxies of one Memcached, which are two nodes for the client."""
    host, _, port = servers.memcached.address.rpartition(":")
    with ExitStack() as stack:
        yield [stack.enter_context(FaultProxy(host, int(port))) for _ in range(2)]


@pytest.fixture
def memcached(servers: Servers, nodes: list[FaultProxy]) -> Iterator[Memcached]:
    server = servers.memcached._replace(address=",".join(f"127.0.0.1:{node.port}" for node in nodes))
    with closing(
        Memcached(server, collection="test", description="test cache", timeout_s=0.5, max_connections=len(KEYS))
    ) as client:
        yield client


async def put(memcached: Memcached, key: str) -> bool:
    return bool(await memcached.execute("set", lambda client: client.set(key, b"value", expire=60)))


@pytest.mark.parametrize("fault", [Fault.DOWN, Fault.UNRESPONSIVE])
@pytest.mark.parametrize("failed", [0, 1])
async def test_commands_succeed_while_a_node_fails_and_after_it_is_back(
    memcached: Memcached, nodes: list[FaultProxy], fault: Fault, failed: int
) -> None:
    assert all(await asyncio.gather(*(put(memcached, key) for key in KEYS)))
    nodes[failed].set_fault(fault)
    assert all(await asyncio.gather(*(put(memcached, key) for key in KEYS)))
    assert await memcached.execute_sequence("get", lambda client: [client.get(key) for key in KEYS]) == [b"value"] * 20
    nodes[failed].set_fault(Fault.NONE)
    nodes[1 - failed].set_fault(Fault.DOWN)

    async def is_node_used_again() -> bool:
        try:
            return await put(memcached, KEYS[0])
        except ApiError:
            return False

    async with asyncio.timeout(3 * NODE_RETRY_INTERVAL_S):
        await wait_until_async(is_node_used_again)
