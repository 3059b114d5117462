"""How many events a second leave an outbox, confirmed; afterwards each is looked for in a quorum queue."""

import asyncio
import time
from contextlib import suppress

import pika
import psycopg

from bench.mesh import Mesh
from bench.results import Row, at_least
from deploy.local.servers import broker_url
from services.runtime.broker import Broker
from services.runtime.database import Database
from services.runtime.events import EXCHANGE
from services.runtime.outbox import Relay

EVENTS = 20_000
TYPE = "bench.counted"
FILL = (
    "INSERT INTO outbox (event_id, type, subject, payload, trace, at)"
    " SELECT 'event-' || n, %s, 'order-' || n, convert_to(repeat('x', 400), 'UTF8'), '{}', now()"
    " FROM generate_series(1, %s) n"
)


async def drain(url: str, broker: str) -> float:
    """Seconds until a relay has nothing left."""
    database = Database(url)
    async with database:
        began = time.monotonic()
        relay = asyncio.create_task(Relay("bench", database, Broker(broker, "bench")).run())
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while await (await connection.execute("SELECT 1 FROM outbox LIMIT 1")).fetchone():
                await asyncio.sleep(0.02)
        took = time.monotonic() - began
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay
    return took


def arrived(broker: str, queue: str) -> set[str]:
    """The ids of all that is in the queue, which is empty after that."""
    connection = pika.BlockingConnection(pika.URLParameters(broker))
    found = set()
    for _, properties, _ in connection.channel().consume(queue, auto_ack=True, inactivity_timeout=1):
        if properties is None:
            break
        found.add(properties.headers["cloudEvents:id"])
    connection.close()
    return found


def run(mesh: Mesh, repeats: int) -> list[Row]:
    """One relay, as each service has one."""
    mesh.recreate("outbox")
    with mesh.database("orders") as of, mesh.database("outbox") as to:
        columns = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id text NOT NULL, type text NOT NULL,"
        columns += " subject text NOT NULL, payload bytea NOT NULL, trace jsonb NOT NULL, at timestamptz NOT NULL"
        to.execute(f"CREATE TABLE outbox ({columns})".encode())
        wanted = of.execute("SELECT count(*) FROM information_schema.columns WHERE table_name = 'outbox'").fetchone()
        if wanted != (7,):
            raise AssertionError("the outbox has other columns now")
    broker = broker_url(mesh.state, mesh.secrets, "orders")
    connection = pika.BlockingConnection(pika.URLParameters(broker))
    channel = connection.channel()
    queue = "bench.relay"
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(queue, EXCHANGE, TYPE)
    rates = []
    for _ in range(repeats):
        with mesh.database("outbox") as to:
            to.execute(FILL, [TYPE, EVENTS])
            to.execute("ANALYZE outbox")
        rates.append(EVENTS / asyncio.run(drain(mesh.url("outbox"), broker)))
        if arrived(broker, queue) != {f"event-{n}" for n in range(1, EVENTS + 1)}:
            raise AssertionError("events are missing in the queue")
    connection.close()
    with suppress(pika.exceptions.AMQPError):
        connection = pika.BlockingConnection(pika.URLParameters(broker))
        connection.channel().queue_delete(queue)
        connection.close()
    return [at_least("relay: events that leave one outbox", 10_000, rates, "events/s")]
