"""Outbox relay and order history consumer of the baselines.

    python -m bench.baselines.outbox_history relay|consumer

The relay polls the outbox and publishes with confirms. The consumer writes history documents.
"""

import json
import os
import sys
import time
from typing import Any

import pika
import psycopg
import pymongo

BATCH_SIZE, POLL_INTERVAL_S = 100, 0.05
QUEUE = "baselines.history"
SELECT_EVENTS = "SELECT id, type, subject, payload, at FROM outbox ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"


def open_channel() -> Any:
    """Open a channel and declare the queue."""
    channel = pika.BlockingConnection(pika.URLParameters(os.environ["BASELINE_BROKER_URL"])).channel()
    channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    return channel


def run_relay() -> None:
    """Publish events until the process is killed."""
    channel = open_channel()
    channel.confirm_delivery()
    durable = pika.BasicProperties(delivery_mode=2)
    with psycopg.connect(os.environ["BASELINE_DATABASE_URL"]) as connection:
        while True:
            with connection.transaction():
                rows = connection.execute(SELECT_EVENTS, [BATCH_SIZE]).fetchall()
                for _, _, _, payload, _ in rows:
                    channel.basic_publish("", QUEUE, bytes(payload), durable)
                connection.execute("DELETE FROM outbox WHERE id = ANY(%s)", [[row[0] for row in rows]])
            if not rows:
                channel.connection.process_data_events()
                time.sleep(POLL_INTERVAL_S)


def run_consumer() -> None:
    """Write history until the process is killed."""
    documents: Any = pymongo.MongoClient(os.environ["BASELINE_MONGO_URL"]).get_default_database()["baseline_history"]
    documents.create_index([("order_id", 1), ("version", 1)])
    channel = open_channel()
    channel.basic_qos(prefetch_count=50)
    for method, _, body in channel.consume(QUEUE):
        event = json.loads(body)
        key = f"{event['order_id']}:{event['version']}"
        entry = {**event, "status": "pending", "at": time.time(), "actor": "customer"}
        documents.replace_one({"_id": key}, {"_id": key, **entry}, upsert=True)
        channel.basic_ack(method.delivery_tag)


if __name__ == "__main__":
    {"relay": run_relay, "consumer": run_consumer}[sys.argv[1]]()
