"""Files of the data services: a base with their resources, and a component with the settings of their clients."""

from collections.abc import Mapping
from typing import Any

from codegen.kubernetes.data_services import clients, memcached, mongodb, policies, postgresql, rabbitmq
from codegen.kubernetes.data_services.common import list_clients
from codegen.kubernetes.network_policies import Connections
from codegen.kubernetes.objects import add_recommended_labels, build_kustomization

ENGINES = {
    "memcached": memcached.build_objects,
    "mongodb": mongodb.build_objects,
    "postgresql": postgresql.build_objects,
    "rabbitmq": rabbitmq.build_objects,
}
COMPONENT = "data-service"
"""Value of the label `app.kubernetes.io/component`."""

BASE, CLIENTS = "data-services", "data-service-clients"
NAME_REFERENCES = "name-references"
DEFINITIONS_BASE = "../../rabbitmq"


def build_files(connections: Mapping[str, Connections], version: str) -> dict[str, list[Any]]:
    """Return the documents of each file below `kubernetes/`. Engines without a client are not generated."""
    by_engine = list_clients(connections)
    files: dict[str, list[Any]] = {
        f"{BASE}/{engine}": add_recommended_labels(ENGINES[engine](names), COMPONENT, version)
        for engine, names in by_engine.items()
    }
    resources = [f"{engine}.yaml" for engine in by_engine]
    configurations = [f"{NAME_REFERENCES}.yaml"]
    kustomization = build_kustomization(resources=[*resources, DEFINITIONS_BASE], configurations=configurations)
    files[f"{BASE}/{NAME_REFERENCES}"] = [rabbitmq.build_name_reference()]
    files[f"{BASE}/kustomization"] = [kustomization]
    client_policies = policies.build_client_policies(connections, by_engine)
    files[f"{CLIENTS}/network-policies"] = add_recommended_labels(client_policies, COMPONENT, version)
    files[f"{CLIENTS}/kustomization"] = [
        {
            "apiVersion": "kustomize.config.k8s.io/v1alpha1",
            "kind": "Component",
            "resources": ["network-policies.yaml"],
            "patches": clients.build_patch_references([*connections]),
        }
    ]
    return files | {
        f"{CLIENTS}/{service}": [patch] for service, patch in clients.build_patches([*connections], by_engine).items()
    }
