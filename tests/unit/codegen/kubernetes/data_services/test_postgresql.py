"""Resources of CloudNativePG."""

from typing import Any

import pytest

from codegen.kubernetes.data_services import postgresql

SERVICES = ("orders", "partners")


@pytest.fixture
def cluster() -> Any:
    return postgresql.build_cluster(SERVICES)["spec"]


def test_commit_waits_for_one_of_two_standbys(cluster: Any) -> None:
    assert cluster["instances"] == 3
    synchronous = cluster["postgresql"]["synchronous"]
    assert (synchronous["method"], synchronous["number"]) == ("any", 1)
    assert synchronous["dataDurability"] == "required"
    assert synchronous["failoverQuorum"] is True


def test_each_service_has_a_role_with_the_password_of_its_secret(cluster: Any) -> None:
    roles = {role["name"]: role["passwordSecret"]["name"] for role in cluster["managed"]["roles"]}
    assert roles == {"orders": "orders-postgresql", "partners": "partners-postgresql"}


def test_each_service_owns_a_database_that_is_retained() -> None:
    spec = postgresql.build_database("orders")["spec"]
    assert (spec["name"], spec["owner"], spec["databaseReclaimPolicy"]) == ("orders", "orders", "retain")
    assert spec["cluster"] == {"name": postgresql.NAME}


def test_roles_connect_to_their_own_database_over_tls_only(cluster: Any) -> None:
    assert cluster["postgresql"]["pg_hba"] == [
        "hostssl orders orders all scram-sha-256",
        "hostssl partners partners all scram-sha-256",
        "host all all all reject",
    ]


def test_instances_are_on_different_nodes_and_spread_over_zones(cluster: Any) -> None:
    assert cluster["affinity"]["podAntiAffinityType"] == "required"
    (constraint,) = cluster["topologySpreadConstraints"]
    assert constraint["labelSelector"]["matchLabels"] == {"cnpg.io/cluster": postgresql.NAME}
    assert cluster["enablePDB"] is True


def test_wal_and_base_backups_go_to_the_object_store(cluster: Any) -> None:
    store, schedule = postgresql.build_backups()
    (plugin,) = cluster["plugins"]
    assert plugin["isWALArchiver"] is True
    assert plugin["parameters"]["barmanObjectName"] == store["metadata"]["name"]
    assert schedule["spec"]["pluginConfiguration"]["name"] == plugin["name"]
    assert schedule["spec"]["cluster"]["name"] == postgresql.NAME


def test_certificate_covers_the_service_of_the_primary() -> None:
    certificate, *_ = postgresql.build_objects(SERVICES)
    assert f"{postgresql.NAME}-rw" in certificate["spec"]["dnsNames"]
    assert (
        certificate["spec"]["secretName"]
        == postgresql.build_cluster(SERVICES)["spec"]["certificates"]["serverTLSSecret"]
    )
