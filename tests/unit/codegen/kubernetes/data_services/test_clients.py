"""Settings of the services for the data services in the cluster."""

from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter

from codegen.kubernetes.data_services import clients
from codegen.mesh import insert_name
from services.runtime.config.document_store import is_documents_url
from services.runtime.config.urls import DatabaseUrl, HostsAndPorts, list_broker_urls

ENGINES = ("memcached", "mongodb", "postgresql", "rabbitmq")


@pytest.fixture
def variables() -> dict[str, Any]:
    """Return the environment variables by name, with a password inserted as Kubernetes does."""
    environment = insert_name(clients.build_environment("orders", ENGINES), "delivery")
    references = {f"$({each['name']})": "secret" for each in environment if "valueFrom" in each}
    values = {}
    for each in environment:
        value = each.get("value", each.get("valueFrom"))
        for reference, password in references.items():
            value = value.replace(reference, password) if isinstance(value, str) else value
        values[each["name"]] = value
    return values


def test_database_url_verifies_the_certificate_of_the_primary(variables: dict[str, Any]) -> None:
    url = TypeAdapter(DatabaseUrl).validate_python(SecretStr(variables["DATABASE_URL"])).get_secret_value()
    assert url == (
        "postgresql://orders:secret@delivery-postgresql-rw:5432/orders?sslmode=verify-full&sslrootcert=/run/ca/ca.crt"
    )


def test_broker_url_has_tls_and_the_virtual_host_of_the_mesh(variables: dict[str, Any]) -> None:
    (url,) = list_broker_urls(variables["BROKER_URL"])
    assert url.startswith("amqps://orders:secret@delivery-rabbitmq:5671/delivery?ssl_options=%7B%27cafile")


def test_documents_url_lists_all_members(variables: dict[str, Any]) -> None:
    url = variables["DOCUMENTS_URL"]
    assert is_documents_url(url)
    assert url.count(":27017") == 3
    assert url.endswith("/orders?replicaSet=delivery-mongodb&tls=true&tlsCAFile=/run/ca/ca.crt")


def test_cache_has_the_addresses_of_both_pods(variables: dict[str, Any]) -> None:
    addresses = TypeAdapter(HostsAndPorts).validate_python(variables["CACHE_ADDRESS"])
    assert [address.partition(".")[0] for address in addresses.split(",")] == [
        "delivery-memcached-0",
        "delivery-memcached-1",
    ]
    assert (variables["CACHE_USERNAME"], variables["CACHE_CA_FILE"]) == ("orders", "/run/ca/ca.crt")


def test_passwords_are_references_to_secrets(variables: dict[str, Any]) -> None:
    names = {"POSTGRESQL_PASSWORD": "orders-postgresql", "RABBITMQ_PASSWORD": "orders-rabbitmq"}
    names |= {"MONGODB_PASSWORD": "orders-mongodb", "CACHE_PASSWORD": "memcached-users"}
    for variable, secret_name in names.items():
        assert variables[variable] == {"secretKeyRef": {"name": secret_name, "key": "password"}}


def test_password_is_defined_before_the_url_that_refers_to_it() -> None:
    names = [each["name"] for each in clients.build_environment("orders", ["postgresql"])]
    assert names == ["POSTGRESQL_PASSWORD", "DATABASE_URL"]


def test_patch_adds_the_ca_certificate_of_the_servers() -> None:
    *_, mount, volume = clients.build_patch("orders", ["postgresql"])
    assert mount["value"]["mountPath"] == clients.CA_FOLDER
    assert volume["value"]["secret"]["secretName"] == "postgresql-tls"
    assert volume["value"]["name"] == mount["value"]["name"]


def test_patch_changes_the_service_and_its_migrations() -> None:
    (reference,) = clients.build_patch_references(["orders"])
    assert reference["target"] == {"kind": "Deployment|Job", "name": "orders|orders-migrate"}
