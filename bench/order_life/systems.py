"""A measured system: its processes, its databases and queues, and whether work is pending in them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import pika
import psycopg
from pika.adapters.blocking_connection import BlockingChannel

from bench.load_generator import list_process_tree, wait_until_idle
from bench.mesh import Mesh
from bench.order_life.database_counters import DatabaseCounters, connect_observer
from deploy.local.infrastructure.servers import BROKER_ADMIN, build_broker_url
from deploy.local.mesh_config import SERVICES
from deploy.local.supervisor.supervisor_state import read_running_state
from services.runtime.messaging.topology import QUEUES, RETRY_QUEUES
from tests.wait import wait_until

type Groups = Mapping[str, Sequence[int]]
"""Ids of the processes of each group."""

THIRD_PARTIES = "simulated third parties"
"""Group of bank, partners, phones and mailboxes, which is not part of a system's cost."""

SERVER_GROUPS = {"postgres": "PostgreSQL", "rabbitmq": "RabbitMQ", "documents": "MongoDB", "memcached": "Memcached"}
MESH_GROUPS = {
    **{name: name for name in SERVICES},
    "gateway-envoy": "edge",
    **{f"{name}-envoy": f"{name} sidecar" for name in SERVICES if name != "gateway"},
    **SERVER_GROUPS,
    "sandbox": THIRD_PARTIES,
}
"""Groups by the name of the local runner's process.

Others take no part in an order's life: the sidecar for operators, the object storage emulator and the trace viewer. The
supervisor itself is not among its processes.
"""

MESH_PENDING = {
    "gateway": "SELECT EXISTS (SELECT FROM outbox)",
    "orders": "SELECT EXISTS (SELECT FROM outbox) OR EXISTS (SELECT FROM refunds WHERE status = 'requested')",
    "partners": "SELECT EXISTS (SELECT FROM outbox) OR EXISTS (SELECT FROM partner_calls WHERE state = 'waiting')",
    "notifications": "SELECT EXISTS (SELECT FROM outbox) OR EXISTS (SELECT FROM delivery_jobs)",
}
"""By database, the query that returns whether work is pending."""

REST_TIMEOUT_S, REST_POLL_INTERVAL_S = 60, 0.05


def list_groups(mesh: Mesh, names: Mapping[str, str]) -> dict[str, list[int]]:
    """Return the processes of the local runner by group. Raises RuntimeError if the mesh is not running."""
    state = read_running_state(mesh.config)
    if state is None:
        raise RuntimeError("the mesh is not running")
    pids = {child.name: child.pid for child in state.children}
    return {group: list_process_tree(pids[name]) for name, group in names.items()}


@dataclass(frozen=True)
class System:
    """The mesh or its baseline."""

    name: str
    api_url: str
    pending_queries: Mapping[str, str]
    """By database, the query that returns whether work is pending."""
    queues: Sequence[str]
    list_groups: Callable[[], Groups]
    has_sidecars: bool = False


def define_mesh(mesh: Mesh) -> System:
    """Return the mesh."""
    queues = (*QUEUES, *RETRY_QUEUES)
    return System(
        "mesh",
        mesh.config.edge_url,
        MESH_PENDING,
        queues,
        lambda: list_groups(mesh, MESH_GROUPS),
        has_sidecars=True,
    )


class Observer:
    """Connections of the benchmark that observe a system. `polls` counts its transactions in each of the databases."""

    def __init__(self, mesh: Mesh, system: System) -> None:
        self._mesh = mesh
        self._system = system
        self._stack = ExitStack()
        self._connections: dict[str, psycopg.Connection[Any]] = {}
        self.polls = 0

    def __enter__(self) -> Self:
        for database in self._system.pending_queries:
            connection = connect_observer(self._mesh, database)
            self._connections[database] = self._stack.enter_context(connection)
        main = self._stack.enter_context(connect_observer(self._mesh, "postgres"))
        self.counters = DatabaseCounters(main, [*self._connections])
        url = build_broker_url(self._mesh.config, self._mesh.secrets, BROKER_ADMIN)
        # Without heartbeats, which a blocking connection would have to send between two polls.
        broker = pika.BlockingConnection(pika.URLParameters(f"{url}?heartbeat=0"))
        self._stack.callback(broker.close)
        self._channel: BlockingChannel = broker.channel()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_until_rest(self) -> None:
        """Wait until no processor time is used, and outboxes, queues and job tables are empty.

        Raises TimeoutError or LoadError.
        """
        pids = [pid for group in self._system.list_groups().values() for pid in group]

        def is_at_rest() -> bool:
            wait_until_idle(pids)
            return not self._has_pending_work()

        wait_until(is_at_rest, REST_TIMEOUT_S, interval_s=REST_POLL_INTERVAL_S, description=self._system.name)

    def _has_pending_work(self) -> bool:
        self.polls += 1
        rows = [
            self._connections[database].execute(query.encode()).fetchone()
            for database, query in self._system.pending_queries.items()
        ]
        if any(row != (False,) for row in rows):
            return True
        declared = (self._channel.queue_declare(queue, passive=True) for queue in self._system.queues)
        return any(result.method.message_count for result in declared)
