"""Throughput of the outbox relay with publisher confirms and one in a hundred events traced.

Every event must arrive in a quorum queue. `python -m bench.outbox_relay DATABASE BROKER` runs one relay as a process.
"""

import asyncio
import sys
import time
from contextlib import suppress

import pika
import psycopg
import uvloop

from bench.load_generator import wait_until_idle
from bench.mesh import Mesh
from bench.paths import STATE_DIR
from bench.processes import ProcessGroup
from bench.results import Row, create_informational_row, require_at_least, require_at_most
from deploy.local.infrastructure.servers import BROKER_ADMIN, build_broker_url
from services.runtime.messaging import outbox
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.outbox import Relay
from services.runtime.storage.database import Database
from services.runtime.telemetry import tracing

EVENT_COUNT = 20_000
MAX_CPU_US = 30
"""Goal of the CPU time of the relay per event."""

EVENT_TYPE = "bench.counted"
EXCHANGE = "bench.events"
"""Exchange of the relay's service, `bench`."""

FILL_OUTBOX = (
    "INSERT INTO outbox (event_id, type, subject, payload, trace, at)"
    " SELECT 'event-' || n, %s, 'order-' || n, convert_to(repeat('x', 400), 'UTF8'), jsonb_build_object('traceparent',"
    " '00-' || md5(n::text) || '-' || left(md5(n::text), 16) || CASE n %% 100 WHEN 0 THEN '-01' ELSE '-00' END), now()"
    " FROM generate_series(1, %s) n"
)


async def wait_until_empty(url: str) -> None:
    """Wait until the outbox is empty."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while await (await connection.execute("SELECT 1 FROM outbox LIMIT 1")).fetchone():
            await asyncio.sleep(0.05)


async def measure_drain_s(url: str, broker: str) -> float:
    """Return the seconds until a relay has published the whole outbox."""
    async with Database(url) as database:
        started_at = time.monotonic()
        relay = asyncio.create_task(Relay("bench", database, Broker(broker, "bench")).run())
        await wait_until_empty(url)
        duration_s = time.monotonic() - started_at
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay
    return duration_s


def consume_event_ids(broker: str, queue: str) -> set[str]:
    """Consume the queue and return the ids of its events."""
    connection = pika.BlockingConnection(pika.URLParameters(broker))
    event_ids = set()
    for _, properties, _ in connection.channel().consume(queue, auto_ack=True, inactivity_timeout=1):
        if properties is None:
            break
        event_ids.add(properties.headers["cloudEvents:id"])
    connection.close()
    return event_ids


def run(mesh: Mesh, repeats: int) -> list[Row]:
    """Measure one relay in this process, then one and two relay processes."""
    tracing.setup_tracing("bench", "test", sample_percent=0)
    mesh.recreate_database("outbox")
    with mesh.connect_database("orders") as source, mesh.connect_database("outbox") as target:
        columns = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id text NOT NULL, type text NOT NULL,"
        columns += " subject text NOT NULL, payload bytea NOT NULL, trace jsonb NOT NULL, at timestamptz NOT NULL"
        target.execute(f"CREATE TABLE outbox ({columns})".encode())
        column_count = source.execute(
            "SELECT count(*) FROM information_schema.columns WHERE table_name = 'outbox'"
        ).fetchone()
        if column_count != (7,):
            raise AssertionError("the columns of the outbox have changed; adapt this benchmark")
    broker = build_broker_url(mesh.config, mesh.secrets, BROKER_ADMIN)
    connection = pika.BlockingConnection(pika.URLParameters(broker))
    channel = connection.channel()
    queue = "bench.outbox_relay"
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.exchange_declare(EXCHANGE, "topic", auto_delete=True)
    channel.queue_bind(queue, EXCHANGE, EVENT_TYPE)
    url = mesh.build_database_url("outbox")

    def fill_outbox() -> None:
        with mesh.connect_database("outbox") as target:
            target.execute(FILL_OUTBOX, [EVENT_TYPE, EVENT_COUNT])
            target.execute("ANALYZE outbox")

    def check_queue() -> None:
        if consume_event_ids(broker, queue) != {f"event-{n}" for n in range(1, EVENT_COUNT + 1)}:
            raise AssertionError("events are missing from the queue")

    rates, cpu_us = [], []
    for _ in range(repeats):
        fill_outbox()
        cpu_started_at = time.process_time()
        rates.append(EVENT_COUNT / uvloop.run(measure_drain_s(url, broker)))
        cpu_us.append((time.process_time() - cpu_started_at) / EVENT_COUNT * 1e6)
        check_queue()
    rows = [
        require_at_least("relay: events published from one outbox", 10_000, rates, "events/s"),
        require_at_most("relay: CPU of the relay per event", MAX_CPU_US, cpu_us, "µs"),
    ]
    for process_count in (1, 2):
        with ProcessGroup(STATE_DIR / "relays.log") as processes:
            pids = [processes.start("bench.outbox_relay", url, broker) for _ in range(process_count)]
            process_rates = []
            for _ in range(max(repeats // 2, 1)):
                wait_until_idle(pids)
                fill_outbox()
                started_at = time.monotonic()
                asyncio.run(wait_until_empty(url))
                process_rates.append(EVENT_COUNT / (time.monotonic() - started_at))
                check_queue()
        name = f"relay: events published by {process_count} relay process{'es' if process_count > 1 else ''}"
        rows.append(create_informational_row(name, process_rates, "events/s"))
    connection.close()
    with suppress(pika.exceptions.AMQPError):
        connection = pika.BlockingConnection(pika.URLParameters(broker))
        connection.channel().queue_delete(queue)
        connection.close()
    return rows


async def run_relay(url: str, broker: str) -> None:
    """Publish events until the process is killed. The relay polls often, since another process inserts the events."""
    outbox.POLL_INTERVAL_S = 0.05
    async with Database(url) as database:
        await Relay("bench", database, Broker(broker, "bench")).run()


if __name__ == "__main__":
    tracing.setup_tracing("bench", "test", sample_percent=0)
    uvloop.run(run_relay(*sys.argv[1:]))
