"""Resource of the RabbitMQ Cluster Operator."""

from typing import Any

import pytest

from codegen.kubernetes.data_services import rabbitmq


@pytest.fixture
def cluster() -> Any:
    return rabbitmq.build_cluster()["spec"]


def test_cluster_has_three_nodes_on_different_hosts(cluster: Any) -> None:
    assert cluster["replicas"] == 3
    assert "podAntiAffinity" in cluster["affinity"]


def test_queues_are_quorum_queues_and_a_minority_pauses(cluster: Any) -> None:
    lines = cluster["rabbitmq"]["additionalConfig"].splitlines()
    assert "default_queue_type = quorum" in lines
    assert "cluster_partition_handling = pause_minority" in lines


def test_connections_without_tls_are_not_accepted(cluster: Any) -> None:
    assert cluster["tls"] == {"secretName": "rabbitmq-tls", "disableNonTLSListeners": True}


def test_users_are_imported_before_the_definitions(cluster: Any) -> None:
    pod = cluster["override"]["statefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    paths = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert paths == sorted(paths)
    assert paths[0] == f"{rabbitmq.DEFINITIONS_FOLDER}/01-users.json"
    assert f"load_definitions = {rabbitmq.DEFINITIONS_FOLDER}" in rabbitmq.CONFIGURATION
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_name_reference_leads_to_the_definitions(cluster: Any) -> None:
    (reference,) = rabbitmq.build_name_reference()["nameReference"]
    (field,) = reference["fieldSpecs"]
    node: Any = {"spec": cluster}
    for key in field["path"].split("/"):
        node = node[key] if isinstance(node, dict) else next(each[key] for each in node if key in each)
    assert node == rabbitmq.DEFINITIONS_CONFIG_MAP


def test_objects_protect_the_quorum() -> None:
    kinds = [each["kind"] for each in rabbitmq.build_objects(["orders"])]
    assert kinds == ["Certificate", "RabbitmqCluster", "PodDisruptionBudget", "NetworkPolicy"]
