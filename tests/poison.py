"""Messages that nobody can read, put into a queue of a running mesh, and taken away again as dead letters."""

from collections.abc import Iterator
from contextlib import contextmanager

import pika

from deploy.local.secrets import Secrets
from deploy.local.servers import broker_url
from deploy.local.state import State
from services.runtime.dead_letters import opened
from tests.people import until

QUEUE = "orders.history"


@contextmanager
def poisoned(name: str, kind: str, payload: bytes = b"\xff", **headers: str) -> Iterator[None]:
    """A message of that id and type is a dead letter of orders.history while the block runs."""
    url = broker_url(State(), Secrets(State()), "orders")
    said = {"cloudEvents:id": name, "cloudEvents:type": kind, "cloudEvents:time": "2026-01-01T00:00:00Z", **headers}
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish("", QUEUE, payload, pika.BasicProperties(headers=said), mandatory=True)
    connection.close()
    try:
        with opened(url) as letters:
            until("it is dead", lambda: [letter for letter in letters.letters(QUEUE) if letter.id == name])
        yield
    finally:
        with opened(url) as letters:
            letters.drop(QUEUE, lambda letter: letter.id == name)
