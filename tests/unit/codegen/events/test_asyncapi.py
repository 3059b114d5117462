"""Channels, messages and operations of the AsyncAPI document."""

from typing import Any

import pytest
import yaml

from codegen.events import asyncapi
from codegen.protobuf import Event
from tests import sample
from tests.unit.codegen.sample_contracts import create_contracts, create_event, create_openapi

POOL = sample.load_contracts().protos.pool
ADDED = create_event("Added", message="sample.v1.EchoRequest", queues=("archive.history", "mail.requested"))
DELETED = create_event("Deleted", message="sample.v1.CountResponse", queues=(), priority_queue="archive.urgent")


def generate(*events: Event) -> Any:
    text = asyncapi.generate(create_contracts(events=events, pool=POOL))["asyncapi/delivery.yaml"]
    return yaml.load(text, Loader=yaml.CSafeLoader)


CHANGED = create_event("Changed", message="sample.v1.EchoResponse", queues=(), subscribers=("mail",))
DOCUMENT = generate(ADDED, DELETED, CHANGED)


def test_version_is_that_of_the_openapi_document() -> None:
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert DOCUMENT["asyncapi"] == "3.1.0"


def test_contact_and_licence_are_those_of_the_openapi_document() -> None:
    assert DOCUMENT["info"]["contact"] == {"name": "Team"}
    assert DOCUMENT["info"]["license"] == {
        "name": "Apache-2.0",
        "url": "https://www.apache.org/licenses/LICENSE-2.0",
    }


def test_server_defines_its_variables_and_security() -> None:
    (server,) = DOCUMENT["servers"].values()
    assert (server["protocol"], server["host"], server["pathname"]) == ("amqp", "{host}", "/delivery")
    assert server["variables"].keys() == {"host"}
    (reference,) = server["security"]
    assert reference["$ref"].rsplit("/", 1)[1] in DOCUMENT["components"]["securitySchemes"]


@pytest.mark.parametrize("event", [ADDED, DELETED], ids=["added", "deleted"])
def test_channel_has_routing_key_exchange_and_message(event: Event) -> None:
    channel = DOCUMENT["channels"][event.type]
    assert (channel["address"], channel["description"]) == (event.type, event.comment)
    binding = channel["bindings"]["amqp"]
    assert binding["is"] == "routingKey"
    assert binding["exchange"] == {"name": "delivery.events", "type": "topic", "durable": True, "autoDelete": False}
    (name,) = channel["messages"]
    assert channel["messages"][name] == {"$ref": f"#/components/messages/{name}"}
    assert DOCUMENT["components"]["messages"][name]["name"] == event.type


def test_operations_are_one_send_and_a_receive_per_queue_and_subscriber() -> None:
    operations = {name: each["action"] for name, each in DOCUMENT["operations"].items()}
    assert operations == {
        "notes.send.notes.added": "send",
        "archive.history.receive.notes.added": "receive",
        "mail.requested.receive.notes.added": "receive",
        "notes.send.notes.deleted": "send",
        "archive.urgent.receive.notes.deleted": "receive",
        "notes.send.notes.changed": "send",
        "mail.receive.notes.changed": "receive",
    }


def test_operations_have_channel_summary_and_acknowledgement() -> None:
    operations = DOCUMENT["operations"]
    assert operations["notes.send.notes.added"]["summary"] == "Sent by notes."
    assert operations["mail.requested.receive.notes.added"] == {
        "action": "receive",
        "channel": {"$ref": "#/channels/notes.added"},
        "summary": "Received by mail from the queue mail.requested.",
        "bindings": {"amqp": {"ack": True}},
    }


def test_references_of_operations_exist() -> None:
    for operation in DOCUMENT["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in DOCUMENT["channels"]


def test_payload_is_the_schema_of_the_protobuf_message() -> None:
    message = DOCUMENT["components"]["messages"]["EchoRequest"]
    assert message["payload"] == {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "description": "protobuf: sample.v1.EchoRequest",
    }
    assert message["contentType"] == DOCUMENT["defaultContentType"] == "application/protobuf"


def test_headers_of_cloudevents_are_required() -> None:
    headers = DOCUMENT["components"]["schemas"]["Headers"]
    assert set(headers["required"]) == {f"cloudEvents:{name}" for name in asyncapi.ATTRIBUTES}
    assert headers["properties"].keys() - set(headers["required"]) == {"traceparent", "tracestate"}
    assert {each["type"] for each in headers["properties"].values()} == {"string"}
    assert all(headers["properties"][name]["description"] for name in headers["required"])


def test_event_with_unknown_message_raises_key_error() -> None:
    with pytest.raises(KeyError):
        generate(create_event("Added", message="sample.v1.Missing"))


@pytest.mark.parametrize(
    ("openapi_license", "expected"),
    [
        ({"name": "Own", "url": "https://a.example"}, {"name": "Own", "url": "https://a.example"}),
        ({"name": "Own"}, {"name": "Own"}),
        ({"name": "MIT Licence", "identifier": "MIT"}, {"name": "MIT", "url": "https://spdx.org/licenses/MIT.html"}),
    ],
)
def test_licence_has_a_url_if_the_openapi_document_has(openapi_license: Any, expected: Any) -> None:
    assert asyncapi.build_license(openapi_license) == expected


def test_contact_and_licence_are_optional() -> None:
    openapi = create_openapi()
    del openapi["info"]["contact"], openapi["info"]["license"]
    assert asyncapi.build_info(create_contracts(openapi=openapi)).keys() == {"title", "version", "description"}
