"""Network policies of the data services: their clients, their own nodes, their operators and scrapers."""

from collections.abc import Iterable, Mapping, Sequence

from codegen.envoy.common import Config
from codegen.kubernetes.data_services.common import Clients, build_client_selector, build_name
from codegen.kubernetes.network_policies import (
    PRIVATE_NETWORKS,
    build_dns_rule,
    build_internet_rules,
    build_ports,
)
from codegen.kubernetes.objects import build_labels, build_object
from codegen.mesh import PLACEHOLDER

POLICY_API = "networking.k8s.io/v1"
API_SERVER_PORTS = (443, 6443)
CLIENT_PORTS: Mapping[str, int] = {"postgresql": 5432, "rabbitmq": 5671, "mongodb": 27017, "memcached": 11211}
"""Port at which clients connect to an engine over TLS."""

POD_LABELS: Mapping[str, Mapping[str, str]] = {
    "postgresql": {"cnpg.io/cluster": build_name("postgresql")},
    "rabbitmq": {"app.kubernetes.io/name": build_name("rabbitmq")},
    "mongodb": {"app": f"{build_name('mongodb')}-svc"},
    "memcached": build_labels("memcached"),
}
"""Labels that the operators give to the pods of an engine."""


def build_api_server_rule() -> Config:
    """Permit connections to the API server, whose address no selector matches."""
    blocks = [{"ipBlock": {"cidr": cidr}} for cidr in PRIVATE_NETWORKS]
    return {"to": blocks, "ports": build_ports(*API_SERVER_PORTS)}


def build_engine_policy(
    engine: str,
    clients: Sequence[str],
    *,
    node_ports: Sequence[Config] = (),
    metrics_port: int | None = None,
    operator: tuple[str, Sequence[int]] | None = None,
    needs_api_server: bool = False,
    public_ports: Sequence[int] = (),
) -> Config:
    """Return the policy of the pods of an engine.

    `node_ports` are open between its nodes, and the second part of `operator` for pods of the operator's namespace.
    """
    nodes = {"podSelector": {"matchLabels": {**POD_LABELS[engine]}}}
    client_rule = {
        "from": [{"podSelector": build_client_selector(clients)}],
        "ports": build_ports(CLIENT_PORTS[engine]),
    }
    ingress: list[Config] = [client_rule]
    egress: list[Config] = [build_dns_rule()]
    if node_ports:
        ingress.append({"from": [nodes], "ports": [*node_ports]})
        egress.append({"to": [nodes], "ports": [*node_ports]})
    if metrics_port is not None:
        scrapers = {"namespaceSelector": {"matchLabels": {"metrics": PLACEHOLDER}}}
        ingress.append({"from": [scrapers], "ports": build_ports(metrics_port)})
    if operator is not None:
        namespace, ports = operator
        selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
        ingress.append({"from": [selector], "ports": build_ports(*ports)})
    if needs_api_server:
        egress.append(build_api_server_rule())
    egress += build_internet_rules(public_ports)
    spec = {
        "podSelector": {"matchLabels": {**POD_LABELS[engine]}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }
    return build_object(POLICY_API, "NetworkPolicy", build_name(engine), engine, spec=spec)


def build_client_policies(services: Iterable[str], clients: Clients) -> list[Config]:
    """Return the policies that permit the pods of each service, and its migrations, to connect to its engines."""
    return [
        build_object(
            POLICY_API,
            "NetworkPolicy",
            f"{service}-data-services",
            service,
            spec={
                "podSelector": build_client_selector([service]),
                "policyTypes": ["Egress"],
                "egress": [
                    {
                        "to": [{"podSelector": {"matchLabels": {**POD_LABELS[engine]}}}],
                        "ports": build_ports(CLIENT_PORTS[engine]),
                    }
                    for engine, names in clients.items()
                    if service in names
                ],
            },
        )
        for service in services
    ]
