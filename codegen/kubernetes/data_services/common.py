"""Common parts of the data services: names, labels, scheduling and certificates.

The issuer of the mesh issues the certificates. Therefore all servers have the same CA certificate.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codegen.envoy.common import Config
from codegen.kubernetes.network_policies import Connections
from codegen.kubernetes.objects import PART_OF_LABEL, build_object
from codegen.mesh import PLACEHOLDER

NAMESPACE = PLACEHOLDER
"""Namespace of the production overlay, which is part of host names."""

REPLICAS = 3
"""Instances of an engine with a quorum: one may fail."""

HOST_TOPOLOGY, ZONE_TOPOLOGY = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
CONTAINER_SECURITY_CONTEXT = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""Security context of the containers of engines, which write to their root file system."""

type Clients = Mapping[str, Sequence[str]]
"""Services that connect to an engine, by engine."""


def build_name(engine: str) -> str:
    """Return the name of an engine's resource, from which its operator derives the names of pods and Services."""
    return f"{PLACEHOLDER}-{engine}"


def build_secret_name(service: str, engine: str) -> str:
    """Return the name of the Secret with the password of a service."""
    return f"{service}-{engine}"


def build_host_names(service: str) -> list[str]:
    """Return the names of a Kubernetes Service within the namespace and from other namespaces."""
    return [service, *(f"{service}.{NAMESPACE}.{suffix}" for suffix in ("svc", "svc.cluster.local"))]


def list_clients(connections: Mapping[str, Connections]) -> Clients:
    """Return the clients of each engine that a service connects to."""
    engines = sorted({engine for each in connections.values() for engine in each.stores})
    return {engine: [name for name, each in connections.items() if engine in each.stores] for engine in engines}


def build_anti_affinity(labels: Mapping[str, str]) -> Config:
    """Return the affinity that schedules at most one pod with these labels on a node."""
    term = {"labelSelector": {"matchLabels": {**labels}}, "topologyKey": HOST_TOPOLOGY}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def build_zone_spread(labels: Mapping[str, str]) -> list[Config]:
    """Return the constraint that distributes the pods with these labels evenly over the zones."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": ZONE_TOPOLOGY,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {**labels}},
        }
    ]


def build_resources(cpu: str, memory: str) -> Config:
    """Return resources whose memory is guaranteed."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def build_disruption_budget(engine: str, labels: Mapping[str, str]) -> Config:
    """Return the PodDisruptionBudget of an engine: at most one pod is evicted at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {**labels}}}
    return build_object("policy/v1", "PodDisruptionBudget", build_name(engine), engine, spec=spec)


def build_server_certificate(engine: str, host_names: Iterable[str], **secret_labels: str) -> Config:
    """Return the cert-manager Certificate of an engine. Its Secret `<engine>-tls` also contains the CA certificate."""
    template: dict[str, Any] = {"secretTemplate": {"labels": secret_labels}} if secret_labels else {}
    return build_object(
        "cert-manager.io/v1",
        "Certificate",
        build_name(engine),
        engine,
        spec={
            "secretName": f"{engine}-tls",
            **template,
            "issuerRef": {"kind": "Issuer", "name": "mesh"},
            "dnsNames": [*host_names],
            "usages": ["server auth", "client auth"],
            "duration": "2160h",
            "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always"},
        },
    )


def build_client_selector(services: Iterable[str]) -> Config:
    """Return the selector of the pods of services and of their migrations."""
    names = [name for service in services for name in (service, f"{service}-migrate")]
    expression = {"key": "app.kubernetes.io/name", "operator": "In", "values": names}
    return {"matchLabels": {**PART_OF_LABEL}, "matchExpressions": [expression]}
