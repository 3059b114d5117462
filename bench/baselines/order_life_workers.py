"""Workers of the baseline: signed calls to partners, and push notifications to customers.

    python -m bench.baselines.order_life_workers partners|notifications

A message is acknowledged after the transaction of its inbox row; the call happens in between, so that it is repeated,
with the same id, if the process crashes.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import psycopg
import pymongo
from standardwebhooks.webhooks import Webhook

from bench.baselines.events import NOTIFICATION_QUEUE, PARTNER_QUEUE, Event, decode_event
from bench.baselines.outbox_history import open_channel

TIMEOUT_S = 5
INSERT_INBOX = "INSERT INTO inbox (queue, event_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
SELECT_PARTNER = "SELECT url, secret FROM third_parties WHERE owner = %s"
SELECT_DEVICES = "SELECT token FROM devices WHERE user_id = %s"
SET_PARTNER_NOTIFIED = "UPDATE orders SET partner_notified_at = now() WHERE id = %s AND partner_notified_at IS NULL"
TITLES = {
    "orders.paid": "Your order is paid",
    "orders.ready": "Your order is ready",
    "orders.assigned": "Your order is on its way",
    "orders.delivered": "Your order is delivered",
}

type Connection = psycopg.Connection[Any]


def consume(queue: str, handle: Callable[[Connection, Event], None]) -> None:
    """Handle each event once, until the process is killed. A failed event is delivered again."""
    channel = open_channel(queue)
    options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0}
    with psycopg.connect(os.environ["BASELINE_DATABASE_URL"], **options) as connection:
        for method, _, body in channel.consume(queue):
            event = decode_event(body)
            try:
                with connection.transaction():
                    if connection.execute(INSERT_INBOX, [queue, event.id]).rowcount:
                        handle(connection, event)
            except httpx.HTTPError:
                channel.basic_nack(method.delivery_tag)
            else:
                channel.basic_ack(method.delivery_tag)


def call_partners() -> None:
    """Call the partner of each paid order, with a signature."""
    public_url = os.environ["BASELINE_PUBLIC_URL"]
    client = httpx.Client(trust_env=False, timeout=TIMEOUT_S)

    def call_partner(connection: Connection, event: Event) -> None:
        row = connection.execute(SELECT_PARTNER, [f"partner:{event.partner_id}"]).fetchone()
        if row is None:
            raise LookupError(f"partner {event.partner_id} does not exist")
        url, secret = row
        items = [{name: item[name] for name in ("product_id", "title", "quantity")} for item in event.items]
        callback_url = f"{public_url}/api/v1/callbacks/partners/{event.partner_id}/ready"
        body = msgspec.json.encode({"order_id": event.order_id, "items": items, "callback_url": callback_url})
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(event.id, now, body.decode()),
        }
        client.post(f"{url}/orders", content=body, headers=headers).raise_for_status()
        connection.execute(SET_PARTNER_NOTIFIED, [event.order_id])

    consume(PARTNER_QUEUE, call_partner)


def notify_customers() -> None:
    """Push a notification about each change to the devices of the customer, and record it."""
    url = f"{os.environ['BASELINE_PUSH_URL']}/v1/projects/delivery-local/messages:send"
    client = httpx.Client(trust_env=False, timeout=TIMEOUT_S, headers={"authorization": "Bearer owner"})
    documents: Any = pymongo.MongoClient(os.environ["BASELINE_MONGO_URL"]).get_default_database()[
        "baseline_notifications"
    ]
    documents.create_index([("order_id", 1)])

    def notify(connection: Connection, event: Event) -> None:
        title = TITLES[event.type]
        notification = {
            "order_id": event.order_id,
            "user_id": event.customer_id,
            "event": event.type,
            "title": title,
            "created_at": event.at,
            "status": "queued",
        }
        documents.update_one({"_id": event.id}, {"$setOnInsert": notification}, upsert=True)
        for (token,) in connection.execute(SELECT_DEVICES, [event.customer_id]).fetchall():
            message = {
                "token": token,
                "notification": {"title": title, "body": f"Order {event.order_id}"},
                "data": {"event": event.type, "order_id": event.order_id},
                "android": {"priority": "high", "notification": {"tag": event.id}},
            }
            client.post(url, json={"message": message}).raise_for_status()
        documents.update_one({"_id": event.id}, {"$set": {"status": "sent", "sent_at": datetime.now(UTC)}})

    consume(NOTIFICATION_QUEUE, notify)


if __name__ == "__main__":
    {"partners": call_partners, "notifications": notify_customers}[sys.argv[1]]()
