"""Networking of a service: sidecar ports, Service and certificate."""

from collections.abc import Mapping
from typing import Any

from codegen.envoy.common import Config, format_spiffe_id
from codegen.kubernetes.objects import build_labels, build_object


def list_sidecar_ports(mesh: Mapping[str, Any], service: str) -> dict[str, int]:
    """Return the externally reachable ports of a sidecar, by name."""
    settings = (
        {"edge": "EDGE_PORT", "edge-tls": "EDGE_TLS_PORT"}
        if service == "gateway"
        else {"ingress": f"{service.upper()}_INGRESS_PORT"}
    )
    settings["probe"] = f"{service.upper()}_PROBE_PORT"
    return {name: mesh["settings"][setting]["default"] for name, setting in settings.items()}


def build_service(service: str, ports: Mapping[str, int]) -> Config:
    """Return the Service."""
    service_ports = [
        {"name": name, "port": port, "targetPort": name} for name, port in ports.items() if name != "probe"
    ]
    # Sidecars balance the load themselves, so the Services behind them are headless and resolve to all pods.
    headless = {} if service == "gateway" else {"clusterIP": "None"}
    return build_object(
        "v1", "Service", service, service, spec={**headless, "selector": build_labels(service), "ports": service_ports}
    )


def build_sidecar_certificate(service: str, trust_domain: str) -> Config:
    """Return the cert-manager Certificate of a sidecar, which carries its SPIFFE id."""
    return build_object(
        "cert-manager.io/v1",
        "Certificate",
        service,
        service,
        spec={
            "secretName": f"{service}-pki",
            "issuerRef": {"kind": "Issuer", "name": "mesh"},
            "uris": [format_spiffe_id(trust_domain, service)],
            "usages": ["server auth", "client auth"],
            "duration": "2160h",
            "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always"},
        },
    )
