"""Process specification of a node of the RabbitMQ cluster. The queues of the contract are replicated to all nodes."""

import json
from dataclasses import replace
from typing import Any

import pika

from deploy.cluster.machines import DATA_MACHINES, MachineConfig
from deploy.local.infrastructure.servers import (
    BROKER_ADMIN,
    build_broker_definitions,
    define_rabbitmq,
    format_broker_url,
)
from deploy.local.pki.secrets import Secrets, write_private
from deploy.local.supervisor.process import ProcessSpec
from generated import mesh

NET_TICK_TIME_S = 3
"""Seconds after which a node that does not respond is unavailable for the other nodes."""

CONNECT_TIMEOUT_S = 3


def build_node_settings(config: MachineConfig) -> str:
    """Return the settings of a node in addition to those of a single node."""
    nodes = [f"cluster_formation.classic_config.nodes.{machine.number} = {_format_name(machine.address)}"
             for machine in DATA_MACHINES]  # fmt: skip
    return "\n".join(
        (
            f"distribution.listener.interface = {config.machine.address}",
            "cluster_formation.peer_discovery_backend = classic_config",
            *nodes,
            # A node without a majority pauses, instead of accepting messages that the other nodes do not receive.
            "cluster_partition_handling = pause_minority",
            f"net_ticktime = {NET_TICK_TIME_S}",
            "queue_leader_locator = balanced",
            "vm_memory_high_watermark.absolute = 400MB",
            "",
        )
    )


def split_definitions(definitions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the definitions that a node loads at its start, and those of queues.

    A queue is replicated to the nodes that are members when it is declared.
    """
    of_queues = {"queues", "bindings"}
    return (
        {name: value for name, value in definitions.items() if name not in of_queues},
        {name: value for name, value in definitions.items() if name in of_queues},
    )


def define_node(config: MachineConfig, secrets: Secrets) -> ProcessSpec:
    """Define a node. The last one declares the queues, when all nodes accept connections."""
    single = define_rabbitmq(config, secrets)
    erlang_cookie, definitions = secrets.get_password("erlang-cookie"), build_broker_definitions(secrets)
    home = config.ensure_subdirectory("rabbitmq")
    environment = {
        **single.environment,
        "RABBITMQ_NODENAME": _format_name(config.machine.address),
        "RABBITMQ_USE_LONGNAME": "true",
        "ERL_EPMD_ADDRESS": config.machine.address,
    }

    def prepare() -> None:
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            write_private(cookie, erlang_cookie)
            cookie.chmod(0o400)
        if single.before_start is not None:
            single.before_start()
        at_start, _ = split_definitions(definitions)
        write_private(home / "definitions.json", json.dumps(at_start))
        path = home / "rabbitmq.conf"
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "distribution." not in line]
        path.write_text("\n".join((*lines, build_node_settings(config))), encoding="utf-8")

    return replace(
        single,
        environment=environment,
        before_start=prepare,
        on_ready=(lambda: declare_queues(config, secrets)) if config.machine is DATA_MACHINES[-1] else None,
    )


def declare_queues(config: MachineConfig, secrets: Secrets) -> None:
    """Declare the queues of the contract with their bindings; existing ones are unchanged. All nodes must be ready."""
    for address in config.list_addresses("RABBITMQ_PORT"):
        connection = _connect(secrets, address)
        connection.close()
    _, definitions = split_definitions(build_broker_definitions(secrets))
    with _connect(secrets, f"{config.machine.address}:{config.get_port('RABBITMQ_PORT')}") as connection:
        channel = connection.channel()
        for queue in definitions["queues"]:
            channel.queue_declare(queue["name"], durable=queue["durable"], arguments=queue["arguments"])
        for binding in definitions["bindings"]:
            bind = channel.queue_bind if binding["destination_type"] == "queue" else channel.exchange_bind
            bind(
                binding["destination"],
                binding["source"],
                routing_key=binding["routing_key"],
                arguments=binding["arguments"],
            )


def _connect(secrets: Secrets, address: str) -> pika.BlockingConnection:
    parameters = pika.URLParameters(format_broker_url(secrets, BROKER_ADMIN, address))
    parameters.socket_timeout = parameters.blocked_connection_timeout = CONNECT_TIMEOUT_S
    return pika.BlockingConnection(parameters)


def _format_name(address: str) -> str:
    return f"{mesh.NAME}@{address}"
