"""Specification of a node of the RabbitMQ cluster."""

import json

from deploy.cluster.machines import DATA_MACHINES, Machine, MachineConfig
from deploy.cluster.rabbitmq import build_node_settings, define_node, split_definitions
from deploy.local.infrastructure.servers import build_broker_definitions
from deploy.local.pki.secrets import Secrets


def test_node_joins_the_other_nodes_and_pauses_without_a_majority(configs: dict[Machine, MachineConfig]) -> None:
    settings = dict(
        line.split(" = ", 1) for line in build_node_settings(configs[DATA_MACHINES[0]]).splitlines() if line
    )
    names = {value for name, value in settings.items() if name.startswith("cluster_formation.classic_config.nodes.")}
    assert names == {f"delivery@{machine.address}" for machine in DATA_MACHINES}
    assert settings["cluster_partition_handling"] == "pause_minority"
    assert settings["distribution.listener.interface"] == "10.77.0.11"


def test_queues_are_declared_after_the_nodes_have_started(secrets: Secrets) -> None:
    definitions = build_broker_definitions(secrets)
    at_start, of_queues = split_definitions(definitions)
    assert of_queues.keys() == {"queues", "bindings"}
    assert at_start | of_queues == definitions


def test_node_writes_its_settings_once(configs: dict[Machine, MachineConfig], secrets: Secrets) -> None:
    node = define_node(configs[DATA_MACHINES[0]], secrets)
    home = configs[DATA_MACHINES[0]].folder / "rabbitmq"
    assert node.before_start is not None
    for _ in range(2):
        node.before_start()
        lines = (home / "rabbitmq.conf").read_text(encoding="utf-8").splitlines()
        names = [line.partition(" = ")[0] for line in lines]
        assert len(names) == len(set(names))
        assert "listeners.tcp.1 = 10.77.0.11:25672" in lines
        assert "queues" not in json.loads((home / "definitions.json").read_text(encoding="utf-8"))
    assert node.environment["RABBITMQ_NODENAME"] == "delivery@10.77.0.11"


def test_only_the_last_node_declares_the_queues(configs: dict[Machine, MachineConfig], secrets: Secrets) -> None:
    nodes = [define_node(configs[machine], secrets) for machine in DATA_MACHINES]
    assert [node.on_ready is not None for node in nodes] == [False, False, True]
