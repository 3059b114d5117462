"""The hand-written baseline of an order's life: FastAPI and gRPC with the same guarantees, without a mesh."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import jwt
import pika
from pika.exceptions import ChannelClosedByBroker

from bench.baseline_processes import UVICORN_COMMAND, build_environment, insert_catalog, is_responding
from bench.baselines.events import DEAD_LETTER_QUEUE, QUEUES
from bench.load_generator import list_process_tree
from bench.mesh import Mesh, generate_partners
from bench.order_life import effects
from bench.order_life.steps import KITCHEN
from bench.order_life.systems import SERVER_GROUPS, THIRD_PARTIES, Groups, System, list_groups
from bench.paths import FIRST_BASELINE_PORT, STATE_DIR
from bench.processes import ProcessGroup
from deploy.local.infrastructure.servers import BROKER_ADMIN, build_broker_url
from tests.wait import wait_until

DATABASE = "baselines"
DEVICE = "demo-customer"
PENDING = {DATABASE: "SELECT EXISTS (SELECT FROM outbox)"}
START_TIMEOUT_S = 30


class Program(NamedTuple):
    """A process of the baseline: its group, and its module with arguments."""

    group: str
    command: Sequence[str]


def list_programs(port: int) -> list[Program]:
    """Return the processes. The application listens on the port, the gRPC service on the next one."""
    return [
        Program("gRPC service", ("bench.baselines.grpc_backend", str(port + 1), "raw")),
        Program("FastAPI", (*UVICORN_COMMAND, f"--port={port}", "bench.baselines.fastapi_app:app")),
        Program("relay", ("bench.baselines.outbox_history", "relay")),
        Program("history consumer", ("bench.baselines.outbox_history", "consumer")),
        Program("partner worker", ("bench.baselines.order_life_workers", "partners")),
        Program("notification worker", ("bench.baselines.order_life_workers", "notifications")),
    ]


def insert_third_parties(mesh: Mesh) -> None:
    """Insert addresses and secrets of the bank and the partners, and the device of the customer."""
    secret, sandbox_url = mesh.secrets.webhook_secret, mesh.config.sandbox_url
    partners = [(f"partner:{row[0]}", f"{sandbox_url}/partner/{KITCHEN}", secret) for row in generate_partners()]
    claims = jwt.decode(mesh.get_access_token(), options={"verify_signature": False})
    with mesh.connect_database(DATABASE) as connection, connection.cursor() as cursor:
        rows = [("bank:visa", f"{sandbox_url}/bank/visa", secret), *partners]
        cursor.executemany("INSERT INTO third_parties (owner, url, secret) VALUES (%s, %s, %s)", rows)
        cursor.execute("INSERT INTO devices (user_id, token) VALUES (%s, %s)", [claims["sub"], DEVICE])
        cursor.execute("ANALYZE")


def _has_queues(url: str) -> bool:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        for queue in QUEUES:
            channel.queue_declare(queue, passive=True)
    except ChannelClosedByBroker:
        return False
    finally:
        connection.close()
    return True


def count_finished(mesh: Mesh, order_ids: Sequence[str]) -> int:
    """Return the number of orders that have all effects; of incomplete documents, a lower bound."""
    query = {"order_id": {"$in": [*order_ids]}}
    return effects.count_finished(
        effects.count_delivered(mesh, DATABASE, order_ids),
        effects.count_documents(mesh, "orders", "baseline_history", query),
        effects.count_documents(mesh, "orders", "baseline_notifications", {**query, "status": "sent"}),
    )


@contextmanager
def run_baseline(mesh: Mesh) -> Iterator[System]:
    """Run the baseline on the servers of the mesh."""
    insert_catalog(mesh)
    insert_third_parties(mesh)
    url = f"http://127.0.0.1:{FIRST_BASELINE_PORT}"
    environment = {
        **build_environment(mesh),
        "BASELINE_BACKEND": f"127.0.0.1:{FIRST_BASELINE_PORT + 1}",
        "BASELINE_PUBLIC_URL": url,
        "BASELINE_PUSH_URL": mesh.config.sandbox_url,
    }
    with ProcessGroup(STATE_DIR / "order-life-baseline.log", **environment) as processes:
        pids = {program.group: processes.start(*program.command) for program in list_programs(FIRST_BASELINE_PORT)}
        wait_until(partial(is_responding, url), START_TIMEOUT_S, description="FastAPI")
        broker_url = build_broker_url(mesh.config, mesh.secrets, BROKER_ADMIN)
        wait_until(partial(_has_queues, broker_url), START_TIMEOUT_S, description="queues of the baseline")

        def list_all_groups() -> Groups:
            own = {group: list_process_tree(pid) for group, pid in pids.items()}
            return own | list_groups(mesh, {**SERVER_GROUPS, "sandbox": THIRD_PARTIES})

        yield System("baseline", url, PENDING, (*QUEUES, DEAD_LETTER_QUEUE), list_all_groups)
