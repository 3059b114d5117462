"""Manifests of all services, derived from the contracts and `envoy/mesh.yaml`.

Overlays add the cluster-specific parts: images, settings (ConfigMap `<service>`), secrets (Secret `<service>`),
certificates (Secrets `<service>-pki`, `gateway-edge`) and the settings of the Envoy bootstraps (ConfigMap `sidecars`).
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from codegen.contracts import Contracts, Files
from codegen.envoy.common import Config
from codegen.envoy.sidecar import list_service_methods
from codegen.errors import map_all
from codegen.kubernetes import monitoring
from codegen.kubernetes.data_services.manifests import build_files
from codegen.kubernetes.network_policies import (
    Connections,
    build_egress_rules,
    build_ingress_rules,
    build_migration_policy,
    build_network_policy,
    read_connections,
)
from codegen.kubernetes.networking import build_service, build_sidecar_certificate, list_sidecar_ports
from codegen.kubernetes.objects import add_recommended_labels, build_kustomization, build_object, render_objects
from codegen.kubernetes.workloads import (
    build_autoscaler,
    build_deployment,
    build_disruption_budget,
    build_migration_job,
)
from codegen.mesh import list_services

HEADER = "# Written by `make generate` from api-specs and envoy/mesh.yaml. Do not edit.\n"
PROJECT_FILE = "pyproject.toml"


def read_version(root: Path) -> str:
    """Return the version of the project below `root`."""
    version: str = tomllib.loads((root / PROJECT_FILE).read_text(encoding="utf-8"))["project"]["version"]
    return version


def build_service_objects(
    service: str,
    ports: Mapping[str, int],
    callers: Iterable[str],
    called_services: Mapping[str, int],
    connections: Connections,
    otlp_port: int,
) -> list[Config]:
    """Return all objects of a service. `called_services` contains the ingress port of each."""
    ingress = build_ingress_rules(ports, sorted(callers))
    egress = build_egress_rules(connections, called_services, otlp_port)
    return [
        build_object("v1", "ServiceAccount", service, service, automountServiceAccountToken=False),
        build_service(service, ports),
        build_deployment(service, ports),
        build_autoscaler(service),
        build_disruption_budget(service),
        build_network_policy(service, service, ingress, egress),
    ]


def generate(contracts: Contracts) -> Files:
    """Generate the folders of `kubernetes/`, each with a kustomization."""
    mesh = contracts.mesh
    services = list_services(mesh)
    ports = {name: list_sidecar_ports(mesh, name) for name in services}
    callers = {
        name: {caller for method in list_service_methods(contracts, name) for caller in method.callers}
        for name in services
    }
    otlp_port = mesh["settings"]["OTLP_PORT"]["default"]
    version = read_version(contracts.root)
    files: dict[str, list[Any]] = {}
    connections_by_service = map_all(lambda name: read_connections(mesh, name), services)
    for name, connections in zip(services, connections_by_service, strict=True):
        called = {callee: ports[callee]["ingress"] for callee in services if name in callers[callee]}
        objects = build_service_objects(name, ports[name], callers[name], called, connections, otlp_port)
        files[f"services/{name}"] = add_recommended_labels(objects, "service", version)
        migration = [build_migration_job(name), build_migration_policy(name, connections)]
        files[f"migrations/{name}"] = add_recommended_labels(migration, "migration", version)
        certificate = build_sidecar_certificate(name, mesh["trust_domain"])
        files[f"certificates/{name}"] = add_recommended_labels([certificate], "certificate", version)
    for name, each in monitoring.build_objects(contracts).items():
        files[f"monitoring/{name}"] = add_recommended_labels([each], "monitoring", version)
    for folder in ("services", "migrations", "certificates", "monitoring"):
        names = [path.partition("/")[2] for path in files if path.startswith(f"{folder}/")]
        dashboard = ["../../observability"] if folder == "monitoring" else []
        resources = [*(f"{name}.yaml" for name in names), *dashboard]
        files[f"{folder}/kustomization"] = [build_kustomization(resources=resources)]
    files |= build_files(dict(zip(services, connections_by_service, strict=True)), version)
    output: Files = {
        f"kubernetes/{path}.yaml": render_objects(HEADER, contracts.name, *objects) for path, objects in files.items()
    }
    dashboard_kustomization = monitoring.build_dashboard_kustomization(version)
    output["observability/kustomization.yaml"] = render_objects(HEADER, contracts.name, dashboard_kustomization)
    return output
