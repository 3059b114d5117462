"""Malformed messages that are published to a queue of a running mesh and dead-lettered."""

from collections.abc import Iterator
from contextlib import contextmanager

import pika

from deploy.local.infrastructure.servers import BROKER_OPERATOR, build_broker_url
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from services.runtime.messaging.dead_letters import connect
from services.runtime.messaging.topology import get_queue_exchange
from tests.wait import wait_until

QUEUE = "orders.history"


@contextmanager
def poison_message(event_id: str, event_type: str, payload: bytes = b"\xff", **headers: str) -> Iterator[None]:
    """Publish a malformed message, wait until it is dead-lettered, and drop the dead letter after the block."""
    url = build_broker_url(MeshConfig(), Secrets(MeshConfig()), BROKER_OPERATOR)
    attributes = {
        "cloudEvents:id": event_id,
        "cloudEvents:type": event_type,
        "cloudEvents:time": "2026-01-01T00:00:00Z",
        **headers,
    }
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    properties = pika.BasicProperties(headers=attributes)
    channel.basic_publish(get_queue_exchange(QUEUE), QUEUE, payload, properties, mandatory=True)
    connection.close()
    try:
        with connect(url) as dead_letters:
            wait_until(
                lambda: [each for each in dead_letters.list_all(QUEUE) if each.id == event_id],
                description="the message is dead-lettered",
            )
        yield
    finally:
        with connect(url) as dead_letters:
            dead_letters.drop(QUEUE, lambda dead_letter: dead_letter.id == event_id)
