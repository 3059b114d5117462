"""Events of the baselines, in JSON. The outbox row of an event has the columns of the table `outbox`."""

from datetime import UTC, datetime
from typing import Any

import msgspec

EXCHANGE = "baselines.events"
HISTORY_QUEUE, PARTNER_QUEUE, NOTIFICATION_QUEUE = "baselines.history", "baselines.partners", "baselines.notifications"
DEAD_LETTER_QUEUE, MAX_DELIVERIES = "baselines.dead", 20
QUEUES = (HISTORY_QUEUE, PARTNER_QUEUE, NOTIFICATION_QUEUE)
ROUTING_KEYS = {
    HISTORY_QUEUE: ("orders.*",),
    PARTNER_QUEUE: ("orders.paid",),
    NOTIFICATION_QUEUE: ("orders.paid", "orders.ready", "orders.assigned", "orders.delivered"),
}
"""Routing keys by queue."""


class Event(msgspec.Struct):
    """A change of an order."""

    order_id: str
    version: int
    type: str
    status: str
    actor: str
    at: datetime
    customer_id: str
    partner_id: int
    items: list[dict[str, Any]]

    @property
    def id(self) -> str:
        """Return the id by which consumers deduplicate."""
        return f"{self.order_id}:{self.version}"


def build_event(order: dict[str, Any], event_type: str, actor: str) -> dict[str, Any]:
    """Return the outbox row of an event about the current state of an order."""
    event = Event(
        order["id"],
        order["version"],
        event_type,
        order["status"],
        actor,
        datetime.now(UTC),
        order["customer_id"],
        order["partner"]["id"],
        order["items"],
    )
    return {"type": event_type, "subject": event.order_id, "payload": msgspec.json.encode(event), "at": event.at}


def decode_event(body: bytes) -> Event:
    """Return the event of a message."""
    return msgspec.json.decode(body, type=Event)
