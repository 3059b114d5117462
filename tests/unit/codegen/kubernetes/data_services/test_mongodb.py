"""Resource of the MongoDB Community Operator."""

from typing import Any

import pytest

from codegen.kubernetes.data_services import mongodb


@pytest.fixture
def replica_set() -> Any:
    return mongodb.build_replica_set(["orders"])["spec"]


def test_members_require_tls_and_passwords(replica_set: Any) -> None:
    assert replica_set["members"] == 3
    assert replica_set["security"]["tls"]["enabled"] is True
    assert replica_set["security"]["authentication"] == {"modes": ["SCRAM"]}


def test_user_has_rights_on_its_own_database_only() -> None:
    user = mongodb.build_user("orders")
    assert (user["name"], user["db"]) == ("orders", "orders")
    assert user["roles"] == [{"name": "readWrite", "db": "orders"}]
    assert user["passwordSecretRef"] == {"name": "orders-mongodb", "key": "password"}


def test_members_are_on_different_nodes_and_spread_over_zones(replica_set: Any) -> None:
    pod = replica_set["statefulSet"]["spec"]["template"]["spec"]
    assert "podAntiAffinity" in pod["affinity"]
    assert pod["topologySpreadConstraints"][0]["topologyKey"] == "topology.kubernetes.io/zone"
    assert [container["name"] for container in pod["containers"]] == ["mongod", "mongodb-agent"]


def test_agents_access_only_their_configuration_and_pods() -> None:
    account, role, binding = mongodb.build_agent_access()
    assert [rule["resourceNames"] for rule in role["rules"]] == [
        [f"{mongodb.NAME}-config"],
        [f"{mongodb.NAME}-{number}" for number in range(3)],
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_certificate_covers_the_host_names_of_the_members() -> None:
    certificate, *_ = mongodb.build_objects(["orders"])
    (pattern,) = certificate["spec"]["dnsNames"]
    assert len(mongodb.list_hosts()) == 3
    assert all(host.partition(".")[2] == f"{pattern.removeprefix('*.')}:27017" for host in mongodb.list_hosts())
