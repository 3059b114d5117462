"""Generator of the AsyncAPI 3 document: a channel per event, its producer, queues and payload."""

from collections.abc import Mapping
from typing import Any

from codegen.contracts import Contracts, Files
from codegen.envoy.common import Config
from codegen.protobuf import Event
from codegen.rpc.protobuf_json_schema import build_message_schema, build_referenced_schemas
from codegen.yaml_output import dump_yaml

ATTRIBUTES = {
    "specversion": "Version of CloudEvents, 1.0.",
    "id": "Id of the event; the same in a redelivery.",
    "source": "The producing service: /<service>.",
    "type": "The type of the event, identical to the routing key.",
    "subject": "Id of the entity that the event concerns.",
    "time": "Time of publication, RFC 3339.",
}
"""CloudEvents attributes; AMQP header names have the prefix `cloudEvents:`."""

LICENSE_URLS = {"Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0"}
"""URLs of the authors of licences by SPDX identifier; others have that of SPDX."""

SPDX_URL = "https://spdx.org/licenses/{identifier}.html"

SERVER = {
    "protocol": "amqp",
    "protocolVersion": "0.9.1",
    "title": "RabbitMQ",
    "description": "Message broker of a deployment. The path is the virtual host.",
    "variables": {"host": {"default": "rabbitmq:5672", "description": "Host and port, as in `BROKER_URL`."}},
    "security": [{"$ref": "#/components/securitySchemes/user"}],
}
SECURITY_SCHEME = {
    "type": "userPassword",
    "description": "Every service has its own user, whose permissions are those of its operations.",
}


def get_exchange(contracts: Contracts) -> str:
    """Return the exchange that receives all events."""
    return f"{contracts.name}.events"


def get_output_path(contracts: Contracts) -> str:
    """Return the path of the document, relative to `generated/`."""
    return f"asyncapi/{contracts.name}.yaml"


def build_info(contracts: Contracts) -> Config:
    """Return the metadata, with version, contact and licence of the OpenAPI document."""
    openapi_info = contracts.openapi[contracts.name]["info"]
    optional = {"contact": openapi_info["contact"]} if "contact" in openapi_info else {}
    if "license" in openapi_info:
        optional["license"] = build_license(openapi_info["license"])
    return {
        "title": f"{contracts.name.title()}: events",
        "version": openapi_info["version"],
        "description": (
            "Events are published at least once by transactional outboxes, in any order; inboxes deduplicate them. "
            "A service publishes to its exchange `<service>.events`, and all events reach "
            f"`{get_exchange(contracts)}`. "
            "Queues are durable quorum queues with dead-lettering to `<queue>.dead`."
        ),
        **optional,
    }


def build_license(openapi_license: Mapping[str, str]) -> Config:
    """Return the licence, which AsyncAPI describes by a URL instead of an SPDX identifier."""
    identifier = openapi_license.get("identifier")
    if identifier is None:
        return {key: openapi_license[key] for key in ("name", "url") if key in openapi_license}
    return {"name": identifier, "url": LICENSE_URLS.get(identifier) or SPDX_URL.format(identifier=identifier)}


def build_headers_schema() -> Config:
    """Return the schema of the headers of all messages."""
    return {
        "type": "object",
        "required": [f"cloudEvents:{name}" for name in ATTRIBUTES],
        "properties": {
            **{f"cloudEvents:{name}": {"type": "string", "description": about} for name, about in ATTRIBUTES.items()},
            "traceparent": {
                "type": "string",
                "description": "W3C trace context of the operation that caused the event.",
            },
            "tracestate": {"type": "string"},
        },
    }


def build_channel(contracts: Contracts, event: Event) -> Config:
    """Return the channel of an event type."""
    return {
        "address": event.type,
        "description": event.comment,
        "messages": {event.name: {"$ref": f"#/components/messages/{event.name}"}},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": get_exchange(contracts), "type": "topic", "durable": True, "autoDelete": False},
            }
        },
    }


def build_message(contracts: Contracts, event: Event) -> Config:
    """Return the message of an event type. The payload is protobuf, its schema that of the JSON mapping."""
    schema: dict[str, Any] = build_message_schema(contracts.protos.pool.FindMessageTypeByName(event.message))
    return {
        "name": event.type,
        "title": event.name,
        "summary": event.comment,
        "contentType": "application/protobuf",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": schema | {"description": f"protobuf: {event.message}"},
    }


def build_operations(event: Event) -> Config:
    """Return the send operation of the producer, and the receive operations of queues and subscribers."""
    channel_reference = {"$ref": f"#/channels/{event.type}"}
    sends = {
        f"{event.producer}.send.{event.type}": {
            "action": "send",
            "channel": channel_reference,
            "summary": f"Sent by {event.producer}.",
        }
    }
    receives = {
        f"{queue}.receive.{event.type}": {
            "action": "receive",
            "channel": channel_reference,
            "summary": f"Received by {queue.split('.')[0]} from the queue {queue}.",
            "bindings": {"amqp": {"ack": True}},
        }
        for queue in event.all_queues
    }
    subscriptions = {
        f"{service}.receive.{event.type}": {
            "action": "receive",
            "channel": channel_reference,
            "summary": f"Received by every process of {service} from an exclusive queue.",
        }
        for service in event.subscribers
    }
    return sends | receives | subscriptions


def render_document(contracts: Contracts) -> str:
    """Return the document as YAML."""
    events = contracts.protos.events
    schemas = {"Headers": build_headers_schema()}
    for event in events:
        schemas |= build_referenced_schemas(contracts.protos.pool.FindMessageTypeByName(event.message))
    document = {
        "asyncapi": "3.1.0",
        "info": build_info(contracts),
        "servers": {"broker": {"host": "{host}", "pathname": f"/{contracts.name}", **SERVER}},
        "defaultContentType": "application/protobuf",
        "channels": {event.type: build_channel(contracts, event) for event in events},
        "operations": {name: operation for event in events for name, operation in build_operations(event).items()},
        "components": {
            "messages": {event.name: build_message(contracts, event) for event in events},
            "schemas": schemas,
            "securitySchemes": {"user": SECURITY_SCHEME},
        },
    }
    return dump_yaml("", document)


def generate(contracts: Contracts) -> Files:
    """Generate `asyncapi/<mesh>.yaml`."""
    return {get_output_path(contracts): render_document(contracts)}
