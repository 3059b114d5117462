"""Files of the manifests and their kustomizations."""

from typing import Any

import pytest
import yaml

from codegen.kubernetes import manifests
from codegen.kubernetes.monitoring import build_pod_monitor
from tests.conftest import ROOT
from tests.unit.codegen.sample_contracts import create_contracts, create_method, create_service

MESH = {
    "name": "delivery",
    "trust_domain": "delivery.test",
    "sidecars": ["gateway", "notes", "ops"],
    "settings": {
        name: {"default": 1000 + number}
        for number, name in enumerate(
            ("EDGE_PORT", "EDGE_TLS_PORT", "GATEWAY_PROBE_PORT", "NOTES_INGRESS_PORT", "NOTES_PROBE_PORT", "OTLP_PORT")
        )
    },
}
METHODS = (create_method("GetNote"), create_method("AddNote", callers=("archive", "gateway")))


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Return the objects of each generated file for a mesh of two services."""
    monkeypatch.setattr(manifests.monitoring, "build_objects", lambda _: {"pod-monitor": build_pod_monitor()})
    generated = manifests.generate(create_contracts(create_service("notes", *METHODS), mesh=MESH))
    assert all(str(text).startswith("# Written by `make generate`") for text in generated.values())
    return {
        name.removeprefix("kubernetes/"): list(yaml.load_all(text, Loader=yaml.CSafeLoader))
        for name, text in generated.items()
    }


def test_each_service_has_a_file_in_each_folder(files: dict[str, list[Any]]) -> None:
    names = ("gateway", "notes", "kustomization")
    assert files.keys() == {
        *(f"{folder}/{name}.yaml" for folder in ("services", "migrations", "certificates") for name in names),
        "monitoring/pod-monitor.yaml",
        "monitoring/kustomization.yaml",
        "observability/kustomization.yaml",
        *(f"data-services/{name}.yaml" for name in ("kustomization", "name-references", "postgresql", "rabbitmq")),
        *(f"data-service-clients/{name}.yaml" for name in ("gateway", "kustomization", "network-policies", "notes")),
    }


def test_kustomization_lists_the_files_of_its_folder(files: dict[str, list[Any]]) -> None:
    for folder in ("services", "migrations", "certificates"):
        (kustomization,) = files[f"{folder}/kustomization.yaml"]
        assert kustomization["resources"] == ["gateway.yaml", "notes.yaml"]
    (monitoring,) = files["monitoring/kustomization.yaml"]
    assert monitoring["resources"] == ["pod-monitor.yaml", "../../observability"]


def test_service_file_has_one_object_of_each_kind(files: dict[str, list[Any]]) -> None:
    assert [each["kind"] for each in files["services/notes.yaml"]] == [
        "ServiceAccount",
        "Service",
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
    ]
    assert {each["metadata"]["name"] for each in files["services/notes.yaml"]} == {"notes"}


def test_service_account_has_no_token(files: dict[str, list[Any]]) -> None:
    assert files["services/notes.yaml"][0]["automountServiceAccountToken"] is False


def test_network_policy_permits_each_caller_once(files: dict[str, list[Any]]) -> None:
    _, ingress = files["services/notes.yaml"][-1]["spec"]["ingress"]
    names = [each["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for each in ingress["from"]]
    assert names == ["archive", "gateway"]


def test_certificate_uses_the_trust_domain_of_the_mesh(files: dict[str, list[Any]]) -> None:
    (certificate,) = files["certificates/notes.yaml"]
    assert certificate["spec"]["uris"] == ["spiffe://delivery.test/notes"]


def test_migrations_are_a_job_per_service(files: dict[str, list[Any]]) -> None:
    job, policy = files["migrations/notes.yaml"]
    assert (job["kind"], job["metadata"]["name"]) == ("Job", "notes-migrate")
    assert (policy["kind"], policy["metadata"]["name"]) == ("NetworkPolicy", "notes-migrate")


def test_callers_may_connect_to_the_services_that_they_call(files: dict[str, list[Any]]) -> None:
    def list_callees(service: str) -> list[str]:
        rules = files[f"services/{service}.yaml"][-1]["spec"]["egress"]
        selectors = [each["podSelector"] for rule in rules for each in rule["to"] if "podSelector" in each]
        return [each["matchLabels"]["app.kubernetes.io/name"] for each in selectors]

    assert (list_callees("gateway"), list_callees("notes")) == (["notes"], [])


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("services/notes", "service"),
        ("migrations/notes", "migration"),
        ("certificates/notes", "certificate"),
        ("monitoring/pod-monitor", "monitoring"),
    ],
)
def test_labels_are_version_and_component(files: dict[str, list[Any]], path: str, component: str) -> None:
    for each in files[f"{path}.yaml"]:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/component"] == component
        assert labels["app.kubernetes.io/version"] == manifests.read_version(ROOT)
