"""Schemas of custom resources without a package, with injected violations."""

import copy
from functools import cache
from typing import Any

import pytest
import yaml

from deploy.kubernetes import custom_resources
from deploy.local.mesh_config import ROOT

FOLDER = ROOT / "generated/kubernetes/data-services"


@cache
def load_objects() -> dict[str, Any]:
    """Return an object of each kind, which must not be changed."""
    documents = (path.read_text(encoding="utf-8") for path in FOLDER.iterdir() if "kustomization" not in path.name)
    objects = (each for text in documents for each in yaml.load_all(text, Loader=yaml.CSafeLoader))
    return {each["kind"]: each for each in objects if "kind" in each}


def find(kind: str) -> Any:
    """Return a copy of an object."""
    return copy.deepcopy(load_objects()[kind])


def change(item: Any, path: str, value: Any) -> None:
    """Set the value at a path below the spec of an object, or remove it if no value is given."""
    *parents, key = path.split("/")
    node = item["spec"]
    for name in parents:
        node = node[int(name) if isinstance(node, list) else name]
    if value is None:
        del node[key]
    else:
        node[key] = value


@pytest.mark.parametrize("kind", ["MongoDBCommunity", "ObjectStore", "RabbitmqCluster"])
def test_generated_resource_has_no_violation(kind: str) -> None:
    assert custom_resources.is_custom_resource(load_objects()[kind])
    assert list(custom_resources.validate([load_objects()[kind]])) == []


def test_object_of_kubernetes_is_no_custom_resource() -> None:
    assert not custom_resources.is_custom_resource(load_objects()["StatefulSet"])


@pytest.mark.parametrize(
    ("kind", "path", "value", "message"),
    [
        ("RabbitmqCluster", "replica", 3, "spec: Additional properties are not allowed ('replica' was unexpected)"),
        ("RabbitmqCluster", "replicas", 2, 'spec/replicas: {"multipleOf":2} is not allowed for 2'),
        ("RabbitmqCluster", "tls/secretName", None, 'spec/tls: "secretName" is a required property'),
        ("RabbitmqCluster", "affinity", {"podAffinities": {}}, "pod template: Additional properties are not allowed"),
        (
            "RabbitmqCluster",
            "override/statefulSet/spec/template/spec/volumes/0/name",
            None,
            "pod template: 'name' is a required property",
        ),
        ("MongoDBCommunity", "type", "Sharded", 'spec/type: "ReplicaSet" was expected'),
        ("MongoDBCommunity", "users/0/passwordSecretRef", None, 'spec/users/0: "passwordSecretRef" is a required'),
        (
            "MongoDBCommunity",
            "statefulSet/spec/template/spec/container",
            [],
            "pod template: Additional properties are not allowed ('container' was unexpected)",
        ),
        ("ObjectStore", "retentionPolicy", "1y", 'spec/retentionPolicy: "1y" does not match'),
        ("ObjectStore", "configuration/destinationPath", None, 'spec/configuration: "destinationPath" is a required'),
    ],
)
def test_schema_violation_is_reported(kind: str, path: str, value: Any, message: str) -> None:
    item = find(kind)
    change(item, path, value)
    (finding,) = custom_resources.validate([item])
    assert finding.startswith(f"{kind} {item['metadata']['name']}: {message}")


def test_kind_without_schema_is_reported() -> None:
    item = {**find("RabbitmqCluster"), "kind": "RabbitmqClusters"}
    assert list(custom_resources.validate([item])) == [
        "RabbitmqClusters delivery-rabbitmq: no schema of rabbitmq.com/v1beta1 RabbitmqClusters"
    ]
