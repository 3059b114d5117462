"""Probes that write to the engines and to the edge without retries, and record the times of successful writes."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
from pika.spec import BasicProperties
from sqlalchemy import text

from deploy.local.demo.scenarios import BASKET
from deploy.local.infrastructure.memcached import build_memcached_server
from deploy.local.infrastructure.mongodb import build_documents_url
from deploy.local.infrastructure.servers import BROKER_ADMIN, build_broker_url
from deploy.local.infrastructure.services import build_service_environment
from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import Channel, Message
from services.runtime.messaging.connection import Broker
from services.runtime.storage import mongo
from services.runtime.storage.database import Database
from services.runtime.storage.memcached import Memcached
from services.runtime.storage.statements.statement import Statement
from tests.chaos.client import SignedInUser
from tests.cluster.cluster import Cluster
from tests.cluster.limits import PROBES
from tests.wait import tick

INTERVAL_S = 0.1
WRITE_TIMEOUT_S = 10.0

EDGE_TIMEOUT_S = 3.0
"""Timeout of each read from an edge."""

QUEUE = "cluster.probe"
WRITE_STATEMENT = Statement[dict[str, Any]](text("SELECT pg_logical_emit_message(true, 'probe', '')"))


@dataclass
class Probe:
    """Writes of one kind, with the time of the start and of each successful write."""

    name: str
    successes: list[float] = field(default_factory=lambda: [time.monotonic()])

    def record_success(self) -> None:
        """Record that a write has succeeded."""
        self.successes.append(time.monotonic())

    async def run(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write until cancelled."""
        async for _ in tick(INTERVAL_S):
            with suppress(ApiError, TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await write()
                self.record_success()

    @property
    def has_written(self) -> bool:
        """Return whether a write has succeeded since the start."""
        return len(self.successes) > 1

    def measure_gap_s(self, start: float, end: float) -> float:
        """Return the longest time without a successful write that ends after the start, in seconds."""
        times = [*(each for each in self.successes if each <= end), end]
        return max((after - before for before, after in pairwise(times) if after > start), default=0)


class Probes:
    """All probes of a cluster."""

    def __init__(self, cluster: Cluster, customer: SignedInUser) -> None:
        self._cluster = cluster
        self._customer = customer
        self.probes = [Probe(name) for name in PROBES]

    def have_written(self) -> bool:
        """Return whether a write of each probe has succeeded."""
        return all(probe.has_written for probe in self.probes)

    async def run(self) -> None:
        """Write until cancelled."""
        config, secrets = self._cluster.config, self._cluster.secrets
        postgres, rabbitmq, documents, memcached, orders = self.probes
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            url = build_service_environment(config, secrets, "orders")["DATABASE_URL"]
            database = await stack.enter_async_context(Database(url, max_size=1))
            tasks.create_task(postgres.run(lambda: database.execute(WRITE_STATEMENT)))
            broker = Broker(build_broker_url(config, secrets, BROKER_ADMIN), "probe")
            tasks.create_task(broker.run_with_reconnect(lambda channel: _publish(channel, rabbitmq)))
            client, store = mongo.connect(build_documents_url(config, secrets, "orders"))
            await stack.enter_async_context(client)
            tasks.create_task(documents.run(lambda: _insert(store)))
            cache = Memcached(
                build_memcached_server(config, secrets),
                collection="probe",
                description="probe",
                timeout_s=0.25,
                max_connections=2,
            )
            stack.callback(cache.close)
            tasks.create_task(memcached.run(lambda: _set_keys(cache)))
            edges = deque(
                [
                    await stack.enter_async_context(
                        httpx.AsyncClient(
                            base_url=f"http://{address}/api/v1",
                            headers={"authorization": f"Bearer {self._customer.token}"},
                            timeout=EDGE_TIMEOUT_S,
                            trust_env=False,
                        )
                    )
                    for address in config.list_addresses("EDGE_PORT")
                ]
            )
            tasks.create_task(orders.run(lambda: _confirm_order(edges)))


async def _publish(channel: Channel, probe: Probe) -> None:
    await channel.declare_queue(QUEUE, {"x-queue-type": "quorum", "x-max-length": 10})
    async for _ in tick(INTERVAL_S):
        message = Message(0, BasicProperties(message_id=f"{time.monotonic_ns()}", delivery_mode=2), b"probe")
        await channel.republish("", QUEUE, message, {})
        probe.record_success()


async def _insert(store: Any) -> None:
    with mongo.map_unavailable():
        await store["cluster_probe"].insert_one({})


async def _set_keys(cache: Memcached) -> None:
    """Set so many keys that every node stores some of them."""
    for number in range(8):
        await cache.execute("set", lambda client, key=f"probe-{number}": client.set(key, b"1", expire=60))


async def _confirm_order(edges: deque[httpx.AsyncClient]) -> None:
    """Confirm an order. After a failure, the next one is sent to the other edge, as a load balancer does."""
    edge = edges[0]
    try:
        check = (await edge.post("/order-checks", json=BASKET)).raise_for_status()
        (await edge.post("/orders", json={"check_id": check.json()["check_id"]})).raise_for_status()
    except httpx.HTTPError:
        edges.rotate()
        raise
