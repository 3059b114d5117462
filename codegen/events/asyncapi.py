"""What travels over the broker, as AsyncAPI 3: a channel per event, its producer, its queues and its payload."""

from typing import Any

import yaml

from codegen.contracts import Contracts, Files
from codegen.envoy.common import Config
from codegen.protobuf import Event
from codegen.rpc.protobuf_json_schema import message_schema

EXCHANGE = "delivery.events"
ATTRIBUTES = {
    "specversion": "CloudEvents' version, 1.0.",
    "id": "Names the event; a repeat has the same.",
    "source": "The service that it comes from: /orders.",
    "type": "The routing key once more.",
    "subject": "What it is about.",
    "time": "When it was published, RFC 3339.",
}
"""CloudEvents' attributes; in AMQP headers they begin with `cloudEvents:`."""


def unqualified_name(event: Event) -> str:
    """The message's name without its package."""
    return event.message.rsplit(".", 1)[1]


def headers_schema() -> Config:
    """What stands in the headers of every message."""
    return {
        "type": "object",
        "required": [f"cloudEvents:{name}" for name in ATTRIBUTES],
        "properties": {
            **{f"cloudEvents:{name}": {"type": "string", "description": about} for name, about in ATTRIBUTES.items()},
            "traceparent": {"type": "string", "description": "W3C trace context of what led to the event."},
            "tracestate": {"type": "string"},
        },
    }


def channel(event: Event) -> Config:
    """Where one type of event is published."""
    return {
        "address": event.type,
        "description": event.comment,
        "messages": {unqualified_name(event): {"$ref": f"#/components/messages/{unqualified_name(event)}"}},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": EXCHANGE, "type": "topic", "durable": True, "autoDelete": False},
            }
        },
    }


def message(contracts: Contracts, event: Event) -> Config:
    """One type of event. The payload is protobuf; its schema is that of protobuf's JSON."""
    schema: dict[str, Any] = message_schema(contracts.protos.pool.FindMessageTypeByName(event.message))
    return {
        "name": event.type,
        "title": unqualified_name(event),
        "summary": event.comment,
        "contentType": "application/protobuf",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": schema | {"description": f"protobuf: {event.message}"},
    }


def operations(event: Event) -> Config:
    """Who publishes an event, and who takes it."""
    about = {"$ref": f"#/channels/{event.type}"}
    sends = {
        f"{event.producer}.send.{event.type}": {"action": "send", "channel": about, "summary": f"By {event.producer}."}
    }
    receives = {
        f"{queue}.receive.{event.type}": {
            "action": "receive",
            "channel": about,
            "summary": f"By {queue.split('.')[0]}, from the queue {queue}.",
            "bindings": {"amqp": {"ack": True}},
        }
        for queue in event.all_queues
    }
    return sends | receives


def generate(contracts: Contracts) -> Files:
    """`generated/asyncapi/delivery.yaml`."""
    events = contracts.protos.events
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Delivery: events",
            "version": contracts.openapi["delivery"]["info"]["version"],
            "description": (
                "Published by transactional outboxes, at least once; taken by inboxes, once in effect, in any order. "
                "Queues are durable quorum queues; what cannot be taken ends in `<queue>.dead`."
            ),
        },
        "defaultContentType": "application/protobuf",
        "channels": {event.type: channel(event) for event in events},
        "operations": {name: made for event in events for name, made in operations(event).items()},
        "components": {
            "messages": {unqualified_name(event): message(contracts, event) for event in events},
            "schemas": {"Headers": headers_schema()},
        },
    }
    return {"asyncapi/delivery.yaml": yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)}
