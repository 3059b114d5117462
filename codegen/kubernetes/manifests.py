"""Manifests of all services, derived from the contracts and `envoy/mesh.yaml`.

Overlays add the cluster-specific parts: images, settings (ConfigMap `<service>`), secrets (Secret `<service>`),
certificates (Secrets `<service>-pki`, `gateway-edge`) and the settings of the Envoy bootstraps (ConfigMap `sidecars`).
"""

from collections.abc import Mapping, Sequence

import yaml

from codegen.contracts import Contracts, Files
from codegen.envoy import MESH_FILE, operator_proxy
from codegen.envoy.common import Config
from codegen.envoy.sidecar import list_service_methods
from codegen.kubernetes.networking import (
    build_network_policy,
    build_service,
    build_sidecar_certificate,
    list_sidecar_ports,
)
from codegen.kubernetes.objects import build_object
from codegen.kubernetes.workloads import (
    build_autoscaler,
    build_deployment,
    build_disruption_budget,
    build_migration_job,
)
from codegen.yaml_output import dump_yaml

HEADER = "# Written by `make generate` from api-specs and envoy/mesh.yaml. Do not edit.\n"


def build_service_objects(service: str, ports: Mapping[str, int], callers: Sequence[str]) -> list[Config]:
    """Return all objects of a service."""
    return [
        build_object("v1", "ServiceAccount", service, service, automountServiceAccountToken=False),
        build_service(service, ports),
        build_deployment(service, ports),
        build_autoscaler(service),
        build_disruption_budget(service),
        build_network_policy(service, ports, callers),
    ]


def generate(contracts: Contracts) -> Files:
    """Generate `kubernetes/{services,migrations,certificates}/`, each with a kustomization."""
    mesh: Config = yaml.safe_load(MESH_FILE.read_text())
    services = [name for name in mesh["sidecars"] if name != operator_proxy.SIDECAR_NAME]
    files: Files = {}
    for name in services:
        callers = sorted({caller for method in list_service_methods(contracts, name) for caller in method.callers})
        objects = build_service_objects(name, list_sidecar_ports(mesh, name), callers)
        files[f"kubernetes/services/{name}.yaml"] = dump_yaml(HEADER, *objects)
        files[f"kubernetes/migrations/{name}.yaml"] = dump_yaml(HEADER, build_migration_job(name))
        certificate = build_sidecar_certificate(name, mesh["trust_domain"])
        files[f"kubernetes/certificates/{name}.yaml"] = dump_yaml(HEADER, certificate)
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    for folder in ("services", "migrations", "certificates"):
        resources = kustomization | {"resources": [f"{name}.yaml" for name in services]}
        files[f"kubernetes/{folder}/kustomization.yaml"] = dump_yaml(HEADER, resources)
    return files
