"""Messages that nobody can read, put into a queue of a running mesh, and taken away again as dead letters."""

from collections.abc import Iterator
from contextlib import contextmanager

import pika

from deploy.local.infrastructure.servers import broker_url
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from services.runtime.messaging.dead_letters import connect
from tests.users import wait_until

QUEUE = "orders.history"


@contextmanager
def poison_message(event_id: str, event_type: str, payload: bytes = b"\xff", **headers: str) -> Iterator[None]:
    """A message of that id and type is a dead letter of orders.history while the block runs."""
    url = broker_url(MeshConfig(), Secrets(MeshConfig()), "orders")
    said = {
        "cloudEvents:id": event_id,
        "cloudEvents:type": event_type,
        "cloudEvents:time": "2026-01-01T00:00:00Z",
        **headers,
    }
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish("", QUEUE, payload, pika.BasicProperties(headers=said), mandatory=True)
    connection.close()
    try:
        with connect(url) as letters:
            wait_until("it is dead", lambda: [letter for letter in letters.list_all(QUEUE) if letter.id == event_id])
        yield
    finally:
        with connect(url) as letters:
            letters.drop(QUEUE, lambda letter: letter.id == event_id)
