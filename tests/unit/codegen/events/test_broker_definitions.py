"""Exchanges, queues, bindings and permissions in the definitions of RabbitMQ."""

import json
import re
from typing import Any

import pytest
import yaml

from codegen.contracts import ContractError
from codegen.events import broker_definitions
from codegen.protobuf import Event
from tests.unit.codegen.sample_contracts import create_contracts, create_event

SERVICES = ("gateway", "notes", "archive")
ADDED = create_event("Added", queues=("archive.history", "notes.index"))
DELETED = create_event("Deleted", queues=("archive.history",), priority_queue="archive.urgent")
CHANGED = create_event("Changed", producer="archive", type="archive.changed", queues=(), subscribers=("gateway",))


def build(*events: Event) -> dict[str, Any]:
    files = broker_definitions.generate(create_contracts(events=events))
    definitions: dict[str, Any] = json.loads(files["rabbitmq/definitions.json"])
    return definitions


DEFINITIONS = build(ADDED, DELETED, CHANGED)
PERMISSIONS = {each["user"]: each for each in DEFINITIONS["permissions"]}
TOPIC_PERMISSIONS = {(each["user"], each["exchange"]): each for each in DEFINITIONS["topic_permissions"]}
BINDINGS = {(each["source"], each["destination"], each["routing_key"]) for each in DEFINITIONS["bindings"]}
EXCHANGES = {each["name"]: each["type"] for each in DEFINITIONS["exchanges"]}
QUEUES = {each["name"]: each["arguments"] for each in DEFINITIONS["queues"]}


def get_allowed(pattern: str, names: set[str]) -> set[str]:
    return {name for name in names if re.search(pattern, name)}


def test_events_reach_queues_from_the_exchange_of_their_producer() -> None:
    assert {queue for source, queue, key in BINDINGS if (source, key) == ("notes.events", "notes.added")} == {
        "archive.history",
        "notes.index",
        "delivery.events",
    }


def test_exchange_of_all_events_leads_to_no_queue_of_a_service() -> None:
    assert "delivery.events" not in {source for source, _, _ in BINDINGS}


def test_exchange_of_a_producer_leads_to_its_own_events_only() -> None:
    keys = {key for source, _, key in BINDINGS if source == "archive.events"}
    assert keys == {"archive.changed"}


@pytest.mark.parametrize("service", SERVICES)
def test_exchange_of_queues_leads_to_queues_of_its_service_only(service: str) -> None:
    bound = {(destination, key) for source, destination, key in BINDINGS if source == f"{service}.queues"}
    assert bound == {(name, name) for name in QUEUES if name.startswith(f"{service}.") and ".retry." not in name}


def test_priority_queue_is_fed_by_a_headers_exchange() -> None:
    assert EXCHANGES["archive.urgent.subjects"] == "headers"
    assert ("notes.events", "archive.urgent.subjects", "notes.deleted") in BINDINGS


def test_queue_dead_letters_to_its_dead_letter_queue() -> None:
    arguments = QUEUES["archive.history"]
    assert arguments["x-dead-letter-exchange"] == "archive.queues"
    assert arguments["x-dead-letter-routing-key"] == "archive.history.dead"


def test_retry_queue_returns_messages_through_the_exchange_of_its_service() -> None:
    assert QUEUES["notes.retry.5s"]["x-message-ttl"] == 5000
    assert QUEUES["notes.retry.5s"]["x-dead-letter-exchange"] == "notes.queues"
    assert ("notes.retry.5s", "notes.retry.5s", "#") in BINDINGS


@pytest.mark.parametrize("service", SERVICES)
def test_service_configures_no_exchange_and_its_own_queues_only(service: str) -> None:
    allowed = get_allowed(PERMISSIONS[service]["configure"], {*QUEUES, *EXCHANGES, "amq.default"})
    assert allowed == {name for name in QUEUES if name.startswith(f"{service}.")}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("permission", ["configure", "write", "read"])
def test_permissions_contain_no_name_of_another_service(service: str, permission: str) -> None:
    names = {*QUEUES, *EXCHANGES, "amq.default", "amq.topic"}
    foreign = {name for name in names if not name.startswith(f"{service}.")}
    produced = {"gateway": {"archive.events"}, "notes": set(), "archive": {"notes.events"}}[service]
    assert get_allowed(PERMISSIONS[service][permission], foreign) == (produced if permission == "read" else set())


def test_every_written_exchange_has_permissions_by_routing_key() -> None:
    for service in SERVICES:
        written = get_allowed(PERMISSIONS[service]["write"], {*EXCHANGES})
        assert {EXCHANGES[name] for name in written} <= {"topic"}
        assert {(service, name) for name in written} <= TOPIC_PERMISSIONS.keys()


def test_routing_keys_are_those_of_published_and_received_events() -> None:
    types = {"notes.added", "notes.deleted", "archive.changed"}
    assert get_allowed(TOPIC_PERMISSIONS["notes", "notes.events"]["write"], types) == {"notes.added", "notes.deleted"}
    assert get_allowed(TOPIC_PERMISSIONS["notes", "notes.events"]["read"], types) == {"notes.added"}
    assert get_allowed(TOPIC_PERMISSIONS["archive", "notes.events"]["read"], types) == {
        "notes.added",
        "notes.deleted",
    }
    assert TOPIC_PERMISSIONS["archive", "archive.retry.1s"]["write"] == "^(archive\\.history|archive\\.urgent)$"


def test_only_subscribers_declare_exclusive_queues() -> None:
    declaring = {user for user, each in PERMISSIONS.items() if re.search(each["configure"], "amq.gen-x")}
    assert declaring == {"gateway"}
    assert get_allowed(TOPIC_PERMISSIONS["gateway", "archive.events"]["read"], {"archive.changed", "notes.added"}) == {
        "archive.changed"
    }


def test_operator_reads_dead_letters_and_publishes_to_queues() -> None:
    operator = PERMISSIONS["operator"]
    assert operator["configure"] == "^$"
    assert get_allowed(operator["read"], {*QUEUES, *EXCHANGES}) == {name for name in QUEUES if name.endswith(".dead")}
    assert get_allowed(operator["write"], {*QUEUES, *EXCHANGES}) == {"archive.queues", "notes.queues"}
    assert not re.search(TOPIC_PERMISSIONS["operator", "archive.queues"]["write"], "archive.history.dead")


def test_names_are_matched_literally_and_completely() -> None:
    pattern = broker_definitions.build_pattern(["a.b"])
    assert re.search(pattern, "a.b")
    assert not any(re.search(pattern, name) for name in ("axb", "a.b.c", "x.a.b"))
    assert re.search(broker_definitions.build_pattern([]), "")
    assert not re.search(broker_definitions.build_pattern([]), "a")


def test_queue_of_an_unknown_service_is_rejected() -> None:
    with pytest.raises(ContractError, match=r"mail\.requested"):
        build(create_event("Added", queues=("mail.requested",)))


def test_definitions_are_wrapped_in_a_config_map() -> None:
    files = broker_definitions.generate(create_contracts(events=(ADDED,)))
    (generator,) = yaml.load(str(files["rabbitmq/kustomization.yaml"]), Loader=yaml.CSafeLoader)["configMapGenerator"]
    assert (generator["name"], generator["files"]) == ("broker-definitions", ["definitions.json"])
