"""Outbox relay and order history consumer of the baselines.

    python -m bench.baselines.outbox_history relay|consumer

The relay polls the outbox and publishes with confirms. The consumer writes history documents.
"""

import os
import sys
import time
from typing import Any

import pika
import psycopg
import pymongo

from bench.baselines.events import (
    DEAD_LETTER_QUEUE,
    EXCHANGE,
    HISTORY_QUEUE,
    MAX_DELIVERIES,
    ROUTING_KEYS,
    decode_event,
)

BATCH_SIZE, POLL_INTERVAL_S = 100, 0.05
PREFETCH_COUNT = 50
SELECT_EVENTS = "SELECT id, type, subject, payload, at FROM outbox ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"


def open_channel(*queues: str) -> Any:
    """Open a channel, and declare the exchange and quorum queues, which dead-letter what fails repeatedly."""
    channel = pika.BlockingConnection(pika.URLParameters(os.environ["BASELINE_BROKER_URL"])).channel()
    channel.exchange_declare(EXCHANGE, "topic", durable=True)
    channel.queue_declare(DEAD_LETTER_QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": MAX_DELIVERIES,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": DEAD_LETTER_QUEUE,
    }
    for queue in queues:
        channel.queue_declare(queue, durable=True, arguments=arguments)
        for routing_key in ROUTING_KEYS[queue]:
            channel.queue_bind(queue, EXCHANGE, routing_key)
    channel.basic_qos(prefetch_count=PREFETCH_COUNT)
    return channel


def run_relay() -> None:
    """Publish events until the process is killed."""
    channel = open_channel(HISTORY_QUEUE)
    channel.confirm_delivery()
    durable = pika.BasicProperties(delivery_mode=2)
    with psycopg.connect(os.environ["BASELINE_DATABASE_URL"]) as connection:
        while True:
            with connection.transaction():
                rows = connection.execute(SELECT_EVENTS, [BATCH_SIZE]).fetchall()
                for _, event_type, _, payload, _ in rows:
                    channel.basic_publish(EXCHANGE, event_type, bytes(payload), durable, mandatory=True)
                if rows:
                    connection.execute("DELETE FROM outbox WHERE id = ANY(%s)", [[row[0] for row in rows]])
            if not rows:
                channel.connection.process_data_events()
                time.sleep(POLL_INTERVAL_S)


def run_consumer() -> None:
    """Write history until the process is killed."""
    documents: Any = pymongo.MongoClient(os.environ["BASELINE_MONGO_URL"]).get_default_database()["baseline_history"]
    documents.create_index([("order_id", 1), ("version", 1)])
    channel = open_channel(HISTORY_QUEUE)
    for method, _, body in channel.consume(HISTORY_QUEUE):
        event = decode_event(body)
        entry = {
            "_id": event.id,
            "order_id": event.order_id,
            "version": event.version,
            "status": event.status,
            "at": event.at,
            "actor": event.actor,
        }
        documents.replace_one({"_id": event.id}, entry, upsert=True)
        channel.basic_ack(method.delivery_tag)


if __name__ == "__main__":
    {"relay": run_relay, "consumer": run_consumer}[sys.argv[1]]()
