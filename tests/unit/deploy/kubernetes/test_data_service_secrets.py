"""Secrets of the data services; the objects that refer to them are tested in tests/contract/test_kubernetes.py."""

import json
from typing import Any

import pytest
import yaml

from deploy.kubernetes import data_service_secrets
from deploy.local.mesh_config import SERVICES


@pytest.fixture
def built() -> dict[str, Any]:
    """Return the Secrets by name."""
    return {each["metadata"]["name"]: each for each in data_service_secrets.build_secrets()}


@pytest.mark.parametrize("service", SERVICES)
def test_each_reference_of_a_service_has_a_secret(built: dict[str, Any], service: str) -> None:
    references = data_service_secrets.list_password_references(service)
    assert {"POSTGRESQL_PASSWORD", "RABBITMQ_PASSWORD"} <= references.keys()
    for name in references.values():
        assert built[name]["stringData"]["username"] == service


@pytest.mark.parametrize("service", SERVICES)
def test_password_of_postgresql_is_reloaded_after_a_change(built: dict[str, Any], service: str) -> None:
    secret = built[f"{service}-postgresql"]
    assert secret["type"] == "kubernetes.io/basic-auth"
    assert secret["metadata"]["labels"] == {"cnpg.io/reload": "true"}


def test_broker_users_have_the_passwords_of_their_secrets(built: dict[str, Any]) -> None:
    users = json.loads(built["rabbitmq-users"]["stringData"]["users.json"])["users"]
    assert [user["name"] for user in users] == data_service_secrets.list_broker_users()
    assert {*SERVICES, "operator"} == {user["name"] for user in users}
    for user in users:
        assert user["tags"] == ""
        assert built[f"{user['name']}-rabbitmq"]["stringData"]["password"] == user["password"]


def test_user_of_memcached_has_the_password_of_the_gateway(built: dict[str, Any]) -> None:
    data = built["memcached-users"]["stringData"]
    assert data["users"] == f"gateway:{data['password']}\n"


def test_passwords_differ_and_need_no_encoding_in_urls(built: dict[str, Any]) -> None:
    passwords = [each["stringData"]["password"] for each in built.values() if "password" in each["stringData"]]
    assert len({*passwords}) == len(passwords)
    assert all(password.replace("-", "").replace("_", "").isalnum() for password in passwords)


def test_command_prints_objects_for_kubectl(capsys: pytest.CaptureFixture[str], built: dict[str, Any]) -> None:
    data_service_secrets.main()
    printed = list(yaml.load_all(capsys.readouterr().out, Loader=yaml.CSafeLoader))
    assert {each["metadata"]["name"] for each in printed} == built.keys()
    assert {(each["apiVersion"], each["kind"]) for each in printed} == {("v1", "Secret")}
