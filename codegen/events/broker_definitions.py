"""Generator of RabbitMQ's definitions: exchanges, queues and bindings of the events, and the permissions of the users.

The broker loads the file at its start, and services declare their own queues again. It contains no users, since each
deployment has its own passwords. A user has the name of its service, and its permissions follow from the contract.

- A service publishes to its topic exchange `<service>.events`. Queues are bound to the exchanges of the producers.
- A service publishes to its queues through `<service>.queues`, and to its retry queues, to no others. It has no
  permission for the default exchange, which routes to every queue.
- The exchange `<mesh>.events` receives all events, for consumers other than the services.

A message may have several routing keys, in the headers CC and BCC, and is dead-lettered with all of them to an
exchange that the arguments of a queue name. Permissions by routing key do not cover all of these cases. Therefore an
exchange that a service may write leads to queues of other services with the service's own events only.
Permissions by operation: https://www.rabbitmq.com/docs/access-control#authorisation
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from codegen.contracts import ContractError, Contracts, Files
from codegen.events.asyncapi import get_exchange
from codegen.kubernetes.manifests import read_version
from codegen.kubernetes.objects import add_recommended_labels, build_kustomization, build_object, render_objects
from codegen.protobuf import Event

HEADER = "# Written by `make generate` from api-specs/proto. Do not edit.\n"
NAME = "broker-definitions"
"""Name of the ConfigMap."""

OBSOLETE_QUEUES_KEY = "obsolete_queues"
"""Key of `envoy/mesh.yaml`: queues of earlier releases, which their service deletes."""

OPERATOR = "operator"
"""User that lists, replays and drops dead letters."""

RETRY_DELAYS_S = (1, 5, 30, 120)
"""Seconds before the second, third … attempt at a message."""

SERVER_NAMED_QUEUES = r"amq\.gen-.*"
"""Pattern of the names that the broker gives to the exclusive queues of subscriptions."""

_NO_LOSS = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
_UNLIMITED_DELIVERIES = {"x-delivery-limit": 1_000_000_000}
"""Listing a dead letter counts as a delivery, and some brokers drop a message after 20 of them by default."""


class Binding(NamedTuple):
    """Binding of a queue or an exchange to a source exchange."""

    source: str
    destination: str
    destination_type: str
    routing_key: str


class ServiceTopology:
    """Exchanges and queues of one service."""

    def __init__(
        self, service: str, events: Sequence[Event], *, exchange: str, obsolete_queues: Collection[str] = ()
    ) -> None:
        self.service = service
        self.exchange = exchange
        """Exchange of the events of all services."""
        self.obsolete_queues = [queue for queue in obsolete_queues if get_owner(queue) == service]
        self.queues = [queue for queue in list_queues(events) if get_owner(queue) == service]
        self.dead_letter_queues = [f"{queue}.dead" for queue in self.queues]
        self.retry_delays_s = {f"{service}.retry.{delay}s": delay for delay in RETRY_DELAYS_S} if self.queues else {}
        """Delays by the name of the retry queue, which is also the name of its exchange."""
        self.priority_exchanges = {
            event.priority_queue: f"{event.priority_queue}.subjects"
            for event in events
            if event.priority_queue in self.queues
        }
        """Exchanges by priority queue. The service may write the queue but not the exchange, since a headers exchange
        has no permissions by routing key; therefore their names differ."""
        self.published = [event.type for event in events if event.producer == service]
        self.received: dict[str, list[str]] = {}
        """Types of the received events by the exchange of their producer."""
        for event in events:
            if service in {*event.subscribers, *map(get_owner, event.all_queues)}:
                self.received.setdefault(get_event_exchange(event.producer), []).append(event.type)
        self.is_subscriber = any(service in event.subscribers for event in events)

    @property
    def event_exchange(self) -> str:
        """Return the exchange to which the service publishes its events."""
        return get_event_exchange(self.service)

    @property
    def queue_exchange(self) -> str:
        """Return the exchange that routes to the service's queues by their names."""
        return f"{self.service}.queues"

    def build_exchanges(self) -> dict[str, str]:
        """Return the types of the exchanges by name; a topic exchange has permissions by routing key."""
        names = [
            *([self.event_exchange] if self.published else []),
            *([self.queue_exchange] if self.queues else []),
            *self.retry_delays_s,
        ]
        return dict.fromkeys(names, "topic") | dict.fromkeys(self.priority_exchanges.values(), "headers")

    def build_queues(self) -> dict[str, dict[str, Any]]:
        """Return the arguments of the queues by name.

        A message of a retry queue expires and returns to the queue in its routing key.
        """
        queues: dict[str, dict[str, Any]] = {
            name: {"x-message-ttl": delay_s * 1000, "x-dead-letter-exchange": self.queue_exchange, **_NO_LOSS}
            for name, delay_s in self.retry_delays_s.items()
        }
        for queue, dead_letter_queue in zip(self.queues, self.dead_letter_queues, strict=True):
            queues[dead_letter_queue] = _UNLIMITED_DELIVERIES
            queues[queue] = {
                "x-delivery-limit": 20,
                "x-dead-letter-exchange": self.queue_exchange,
                "x-dead-letter-routing-key": dead_letter_queue,
                **_NO_LOSS,
            }
        return {name: {"x-queue-type": "quorum", **arguments} for name, arguments in queues.items()}

    def build_bindings(self, events: Iterable[Event]) -> list[Binding]:
        """Return the bindings, without those that the service adds for the urgent subjects of a priority queue."""
        bindings = [
            Binding(self.event_exchange, self.exchange, "exchange", event_type) for event_type in self.published
        ]
        bindings += [Binding(name, name, "queue", "#") for name in self.retry_delays_s]
        bindings += [
            Binding(self.queue_exchange, name, "queue", name) for name in (*self.queues, *self.dead_letter_queues)
        ]
        for event in events:
            bindings += [
                Binding(get_event_exchange(event.producer), queue, "queue", event.type)
                for queue in event.queues
                if queue in self.queues
            ]
            if exchange := self.priority_exchanges.get(event.priority_queue):
                bindings.append(Binding(get_event_exchange(event.producer), exchange, "exchange", event.type))
        return bindings

    def build_permissions(self) -> dict[str, str]:
        """Return the patterns of the names that the service may configure, write and read.

        Binding requires permissions to write the queue and to read the exchange, declaring a queue with dead lettering
        those to read the queue and to write the exchange of its dead letters.
        """
        subscriptions = [SERVER_NAMED_QUEUES] if self.is_subscriber else []
        own_queues = [*self.queues, *self.dead_letter_queues, *self.retry_delays_s]
        written_exchanges = self.build_exchanges().keys() - {*self.priority_exchanges.values()}
        read_exchanges = [
            *self.received,
            *([self.queue_exchange] if self.queues else []),
            *self.priority_exchanges.values(),
        ]
        return {
            "configure": build_pattern([*own_queues, *self.obsolete_queues], subscriptions),
            "write": build_pattern([*own_queues, *written_exchanges], subscriptions),
            "read": build_pattern([*self.queues, *self.retry_delays_s, *read_exchanges], subscriptions),
        }

    def build_topic_permissions(self) -> dict[str, dict[str, str]]:
        """Return by topic exchange the patterns of the routing keys of publishing and binding."""
        patterns = {
            **{exchange: ([], received) for exchange, received in self.received.items()},
            self.event_exchange: (self.published, self.received.get(self.event_exchange, [])),
            self.queue_exchange: (self.dead_letter_queues, [*self.queues, *self.dead_letter_queues]),
            **dict.fromkeys(self.retry_delays_s, (self.queues, ["#"])),
        }
        return {
            exchange: {"write": build_pattern(published), "read": build_pattern(bound)}
            for exchange, (published, bound) in patterns.items()
            if exchange in (*self.received, *self.build_exchanges())
        }


def get_event_exchange(service: str) -> str:
    """Return the exchange to which a service publishes its events."""
    return f"{service}.events"


def get_owner(name: str) -> str:
    """Return the service that owns a queue: the part of its name before the first dot."""
    return name.partition(".")[0]


def list_queues(events: Iterable[Event]) -> list[str]:
    """Return all queues with a consumer."""
    return sorted({queue for event in events for queue in event.all_queues})


def build_pattern(names: Iterable[str], patterns: Sequence[str] = ()) -> str:
    """Return a regular expression for exactly these names and patterns; without any it matches only the empty name."""
    alternatives = [*map(re.escape, sorted(set(names))), *patterns]
    return f"^({'|'.join(alternatives)})$" if alternatives else "^$"


def build_operator_permissions(
    topologies: Iterable[ServiceTopology],
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return the permissions of the operator: to read dead letters, and to publish to the queues of all services."""
    with_queues = [topology for topology in topologies if topology.queues]
    permissions = {
        "configure": build_pattern([]),
        "write": build_pattern(topology.queue_exchange for topology in with_queues),
        "read": build_pattern(name for topology in with_queues for name in topology.dead_letter_queues),
    }
    return permissions, {
        topology.queue_exchange: {"write": build_pattern(topology.queues), "read": build_pattern([])}
        for topology in with_queues
    }


def build_definitions(contracts: Contracts) -> dict[str, Any]:
    """Return the definitions without users. Raises ContractError for a queue of an unknown service."""
    services, events, vhost = contracts.protos.callers, contracts.protos.events, contracts.name
    exchange, obsolete_queues = get_exchange(contracts), contracts.mesh.get(OBSOLETE_QUEUES_KEY, ())
    if unknown := [
        f"{event.location}: {event.message}: no service of {', '.join(services)} owns the queue {queue}; rename it"
        for event in events
        for queue in event.all_queues
        if get_owner(queue) not in services
    ]:
        raise ContractError(*(message.removeprefix(": ") for message in unknown))
    topologies = [
        ServiceTopology(service, events, exchange=exchange, obsolete_queues=obsolete_queues) for service in services
    ]
    permissions = {topology.service: topology.build_permissions() for topology in topologies}
    topic_permissions = {topology.service: topology.build_topic_permissions() for topology in topologies}
    permissions[OPERATOR], topic_permissions[OPERATOR] = build_operator_permissions(topologies)
    exchanges = {exchange: "topic"}
    for topology in topologies:
        exchanges |= topology.build_exchanges()
    return {
        "vhosts": [{"name": vhost}],
        "permissions": [{"user": user, "vhost": vhost, **patterns} for user, patterns in permissions.items()],
        "topic_permissions": [
            {"user": user, "vhost": vhost, "exchange": exchange, **patterns}
            for user, by_exchange in topic_permissions.items()
            for exchange, patterns in by_exchange.items()
        ],
        "exchanges": [
            {
                "name": name,
                "vhost": vhost,
                "type": exchange_type,
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {},
            }
            for name, exchange_type in exchanges.items()
        ],
        "queues": [
            {"name": name, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": arguments}
            for topology in topologies
            for name, arguments in topology.build_queues().items()
        ],
        "bindings": [
            {"vhost": vhost, **binding._asdict(), "arguments": {}}
            for topology in topologies
            for binding in topology.build_bindings(events)
        ],
    }


def generate(contracts: Contracts) -> Files:
    """Generate `rabbitmq/definitions.json`, and a kustomization that wraps it in a ConfigMap."""
    config_map = build_object("v1", "ConfigMap", NAME, "rabbitmq")
    (labelled,) = add_recommended_labels([config_map], "settings", read_version(contracts.root))
    options = {"labels": labelled["metadata"]["labels"]}
    generator = {"name": NAME, "files": ["definitions.json"], "options": options}
    definitions = build_definitions(contracts)
    return {
        "rabbitmq/definitions.json": json.dumps(definitions, indent=2) + "\n",
        "rabbitmq/kustomization.yaml": render_objects(
            HEADER, contracts.name, build_kustomization(configMapGenerator=[generator])
        ),
    }
