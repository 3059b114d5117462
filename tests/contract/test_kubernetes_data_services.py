"""Data services in the cluster: consistency of their resources with the contract, and settings of their clients."""

import copy
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kubernetes import check, custom_resources
from deploy.kubernetes.data_service_secrets import build_secrets
from deploy.local.pki.certificates import CertificateAuthority
from services.runtime.config import settings
from tests.conftest import ROOT
from tests.service_settings import SETTINGS
from tests.unit.runtime.config.test_production_checks import VALID_SETTINGS

PRODUCTION = ROOT / "deploy/kubernetes/production"
EXTERNAL, IN_CLUSTER = "external-endpoints", "../../../generated/kubernetes/data-service-clients"
REPLACED_SETTINGS = ("DATABASE_URL", "BROKER_URL", "DOCUMENTS_URL", "CACHE_ADDRESS", "CACHE_PASSWORD", "CACHE_CA_FILE")
"""Settings that the component of the clients defines."""

PASSWORD = "a-password-of-32-characters-here"


@cache
def load_data_services() -> list[dict[str, Any]]:
    """Return the objects of the overlay, which must not be changed."""
    return check.build_overlay(PRODUCTION / "data-services")


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the objects of the services and migrations of an overlay that uses the data services in the cluster."""
    objects: list[dict[str, Any]] = []
    for name in ("", "migrations"):
        folder = tmp_path_factory.mktemp("overlay")
        source = PRODUCTION / name
        overlay = yaml.load((source / "kustomization.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        base = Path(os.path.relpath(source, folder))
        components = [
            each if Path(each).name != EXTERNAL else Path(each).parent.joinpath(IN_CLUSTER)
            for each in overlay["components"]
        ]
        resources = [each for each in overlay["resources"] if not each.endswith(".yaml")]
        overlay |= {
            "components": [str(base / each) for each in components],
            "resources": [str(base / each) for each in resources],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
        objects += check.build_overlay(folder)
    return objects


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a CA certificate."""
    authority = CertificateAuthority(tmp_path_factory.mktemp("pki"))
    authority.ensure_certificates()
    return authority.folder / "ca.pem"


def find(kind: str, name: str = "") -> Any:
    """Return a copy of an object of the overlay, of which there is one of its kind or with its name."""
    objects = [each for each in load_data_services() if each["kind"] == kind]
    (match,) = (each for each in objects if not name or each["metadata"]["name"] == name)
    return copy.deepcopy(match)


def list_pods(objects: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Return the service and the pod template of each Deployment and Job."""
    owners = [each for each in objects if each["kind"] in ("Deployment", "Job")]
    return [(each["metadata"]["name"].removesuffix("-migrate"), each["spec"]["template"]) for each in owners]


def find_config_map(objects: list[dict[str, Any]], service: str) -> dict[str, str]:
    """Return the data of the ConfigMap of a service, whose name has a hash as suffix."""
    config_maps = (each for each in objects if each["kind"] == "ConfigMap")
    data: dict[str, str] = next(
        each["data"] for each in config_maps if each["metadata"]["name"].rpartition("-")[0] == service
    )
    return data


def insert_values(value: str, ca_file: Path) -> str:
    """Return a setting with a password, as Kubernetes inserts it, and with the file of a CA certificate."""
    for engine in ("POSTGRESQL", "RABBITMQ", "MONGODB"):
        value = value.replace(f"$({engine}_PASSWORD)", PASSWORD)
    return value.replace("%2Frun%2Fca%2Fca.crt", str(ca_file)).replace("/run/ca/ca.crt", str(ca_file))


def test_stateful_set_without_requests_is_reported() -> None:
    item = find("StatefulSet")
    del item["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert list(check.check_objects([item])) == [
        "StatefulSet delivery-memcached: memcached has no limits",
        "StatefulSet delivery-memcached: memcached has no requests",
    ]


def test_unknown_field_of_custom_resource_is_reported() -> None:
    cluster, database = find("Cluster"), find("Database", "orders")
    cluster["spec"]["postgresql"]["synchronous"]["maxStandbys"] = 1
    (finding,) = custom_resources.find_unknown_fields([database, cluster])
    assert finding.startswith("Cluster delivery-postgresql: Object literal may only specify known properties")
    assert "maxStandbys" in finding


def test_cluster_imports_the_definitions_of_the_contract() -> None:
    volumes = find("RabbitmqCluster")["spec"]["override"]["statefulSet"]["spec"]["template"]["spec"]["volumes"]
    (name,) = (volume["configMap"]["name"] for volume in volumes if "configMap" in volume)
    definitions = find("ConfigMap", name)["data"]["definitions.json"]
    assert definitions == (ROOT / "generated/rabbitmq/definitions.json").read_text(encoding="utf-8")


def test_versions_are_those_of_the_local_servers() -> None:
    compose = yaml.load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    versions = {
        reference.partition(":")[0]: reference.partition(":")[2].partition("@")[0]
        for reference in (service["image"] for service in compose["services"].values())
    }
    assert find("Cluster")["spec"]["imageName"].partition(":")[2].startswith(f"{versions['postgres']}-")
    assert find("RabbitmqCluster")["spec"]["image"] == f"rabbitmq:{versions['rabbitmq']}-management"
    assert find("MongoDBCommunity")["spec"]["version"].startswith(f"{versions['mongo']}.")
    container = find("StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"memcached:{versions['memcached']}"


def test_services_with_data_services_have_no_violations(clients: list[dict[str, Any]]) -> None:
    assert list(check.check_objects(clients)) == []


def test_secrets_of_passwords_exist(clients: list[dict[str, Any]]) -> None:
    secrets = {each["metadata"]["name"]: each["stringData"] for each in build_secrets()}
    references = [
        variable["valueFrom"]["secretKeyRef"]
        for _, template in list_pods(clients)
        for variable in template["spec"]["containers"][0]["env"]
        if "valueFrom" in variable
    ]
    assert references
    for reference in references:
        assert reference["key"] in secrets[reference["name"]]
    roles = find("Cluster")["spec"]["managed"]["roles"]
    users = find("MongoDBCommunity")["spec"]["users"]
    names = {role["passwordSecret"]["name"] for role in roles} | {user["passwordSecretRef"]["name"] for user in users}
    assert names | {"rabbitmq-users", "memcached-users"} <= secrets.keys()


def test_pods_have_the_ca_certificate_of_the_servers(clients: list[dict[str, Any]]) -> None:
    pods = list_pods(clients)
    assert len(pods) == 2 * len(SETTINGS)
    certificates = [each for each in load_data_services() if each["kind"] == "Certificate"]
    assert {each["spec"]["issuerRef"]["name"] for each in certificates} == {"mesh"}
    secret_names = {each["spec"]["secretName"] for each in certificates}
    for _, template in pods:
        (volume,) = (each for each in template["spec"]["volumes"] if each["name"] == "data-services-ca")
        assert volume["secret"]["secretName"] in secret_names
        assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
        mounts = template["spec"]["containers"][0]["volumeMounts"]
        assert {"name": "data-services-ca", "mountPath": "/run/ca", "readOnly": True} in mounts


@pytest.mark.parametrize("service", SETTINGS)
def test_settings_are_valid_without_urls_in_secrets(
    monkeypatch: pytest.MonkeyPatch, clients: list[dict[str, Any]], ca_file: Path, service: str
) -> None:
    for name in {*VALID_SETTINGS, "SECRETS_DIR", "ENVIRONMENT"}:
        monkeypatch.delenv(name, raising=False)
    values = {name: value for name, value in VALID_SETTINGS.items() if name not in REPLACED_SETTINGS}
    values |= find_config_map(clients, service)
    template = next(template for name, template in list_pods(clients) if name == service)
    for variable in template["spec"]["containers"][0]["env"]:
        values[variable["name"]] = insert_values(variable.get("value", PASSWORD), ca_file)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert settings.load_settings(SETTINGS[service]).environment == "production"


def test_engines_and_their_clients_permit_the_same_connections(clients: list[dict[str, Any]]) -> None:
    policies = [each["spec"] for each in load_data_services() if each["kind"] == "NetworkPolicy"]
    permitted = {
        (name, str(policy["podSelector"]["matchLabels"].items()), policy["ingress"][0]["ports"][0]["port"])
        for policy in policies
        for name in policy["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]["values"]
    }
    requested = {
        (name, str(target["podSelector"]["matchLabels"].items()), rule["ports"][0]["port"])
        for each in clients
        if each["kind"] == "NetworkPolicy" and each["metadata"]["name"].endswith("-data-services")
        for name in each["spec"]["podSelector"]["matchExpressions"][0]["values"]
        for rule in each["spec"]["egress"]
        for target in rule["to"]
    }
    assert requested == permitted


def test_pods_of_engines_have_a_policy_and_a_disruption_budget() -> None:
    objects = load_data_services()
    budgets = [each["spec"]["selector"]["matchLabels"] for each in objects if each["kind"] == "PodDisruptionBudget"]
    policies = [each["spec"]["podSelector"]["matchLabels"] for each in objects if each["kind"] == "NetworkPolicy"]
    assert find("Cluster")["spec"]["enablePDB"] is True  # the operator creates those of PostgreSQL
    assert [labels for labels in policies if labels not in budgets] == [{"cnpg.io/cluster": "delivery-postgresql"}]
