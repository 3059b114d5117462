"""Network policies of a service's pods. Traffic that no policy permits is denied in both directions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from codegen.contracts import ContractError
from codegen.envoy.common import Config
from codegen.kubernetes.objects import build_labels, build_object
from codegen.mesh import PLACEHOLDER

DNS_PORT = 53
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")
"""Networks of the managed databases, brokers and caches. A cluster that reaches them elsewhere patches the policies."""

INTERNET = (
    {
        "cidr": "0.0.0.0/0",
        "except": ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
    },
    {"cidr": "::/0", "except": ["fc00::/7", "fe80::/10"]},
)
"""Public addresses: without private networks and the cloud's metadata service (169.254.169.254)."""

STORE_PORTS: Mapping[str, tuple[int, ...]] = {
    "postgresql": (5432,),
    "mongodb": (27017,),
    "rabbitmq": (5671, 5672),
    "memcached": (11211,),
}
MIGRATED_STORES = ("postgresql", "mongodb")
"""Stores with migrations."""

ALL_PORTS = "all"
"""Value of `public_ports` that permits every TCP port."""


class Connections(NamedTuple):
    """Connections of a service besides those to other services and the trace collector."""

    stores: Sequence[str]
    public_ports: Sequence[int] | str
    """Ports at public addresses, or ALL_PORTS."""


def read_connections(mesh: Mapping[str, Any], service: str) -> Connections:
    """Return the connections of a service. Raises ContractError for an unknown store."""
    entry = mesh.get("connections", {}).get(service, {})
    if unknown := [store for store in entry.get("stores", ()) if store not in STORE_PORTS]:
        raise ContractError(*(f"envoy/mesh.yaml: connections of {service}: unknown store {store}" for store in unknown))
    stores = [store for store in STORE_PORTS if store in ("postgresql", "rabbitmq", *entry.get("stores", ()))]
    return Connections(stores, entry.get("public_ports", ()))


def build_ports(*ports: int, protocol: str = "TCP") -> list[Config]:
    """Return the ports of a rule."""
    return [{"protocol": protocol, "port": port} for port in ports]


def build_dns_rule() -> Config:
    """Permit name resolution by the cluster's DNS service."""
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    ports = [*build_ports(DNS_PORT, protocol="UDP"), *build_ports(DNS_PORT)]
    return {"to": [{"namespaceSelector": namespace}], "ports": ports}


def build_store_rule(*stores: str) -> Config:
    """Permit connections to stores in private networks."""
    blocks = [{"ipBlock": {"cidr": cidr}} for cidr in PRIVATE_NETWORKS]
    return {"to": blocks, "ports": build_ports(*(port for store in stores for port in STORE_PORTS[store]))}


def build_internet_rules(ports: Sequence[int] | str) -> list[Config]:
    """Permit connections to public addresses, none without ports: a rule without ports permits all."""
    if not ports:
        return []
    blocks = [{"ipBlock": block} for block in INTERNET]
    return [{"to": blocks, "ports": [{"protocol": "TCP"}] if isinstance(ports, str) else build_ports(*ports)}]


def build_ingress_rules(ports: Mapping[str, int], callers: Sequence[str]) -> list[Config]:
    """Permit scrapers at the probe port, the contract's callers at the ingress port, all at the edge."""
    scrapers = {"namespaceSelector": {"matchLabels": {"metrics": PLACEHOLDER}}}
    rules: list[Config] = [{"ports": [{"port": "probe"}], "from": [scrapers]}]
    if "ingress" in ports:
        sources = [{"podSelector": {"matchLabels": build_labels(caller)}} for caller in callers]
        rules.append({"ports": [{"port": "ingress"}], "from": sources})
    else:
        rules.append({"ports": [{"port": name} for name in ports if name.startswith("edge")]})
    return rules


def build_egress_rules(connections: Connections, called_services: Mapping[str, int], otlp_port: int) -> list[Config]:
    """Permit DNS, the contract's callees at their ingress ports, the stores, the trace collector and third parties."""
    collectors = {"namespaceSelector": {"matchLabels": {"traces": PLACEHOLDER}}}
    return [
        build_dns_rule(),
        *(
            {"to": [{"podSelector": {"matchLabels": build_labels(name)}}], "ports": build_ports(port)}
            for name, port in called_services.items()
        ),
        build_store_rule(*connections.stores),
        {"to": [collectors], "ports": build_ports(otlp_port)},
        *build_internet_rules(connections.public_ports),
    ]


def build_network_policy(name: str, app_name: str, ingress: Sequence[Config], egress: Sequence[Config]) -> Config:
    """Return a policy of the pods with this name that permits the rules' traffic only."""
    spec = {
        "podSelector": {"matchLabels": build_labels(name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [*ingress],
        "egress": [*egress],
    }
    return build_object("networking.k8s.io/v1", "NetworkPolicy", name, app_name, spec=spec)


def build_migration_policy(service: str, connections: Connections) -> Config:
    """Return the policy of a migration's pod, which connects to the databases of its service only."""
    databases = [store for store in connections.stores if store in MIGRATED_STORES]
    egress = [build_dns_rule(), build_store_rule(*databases)]
    return build_network_policy(f"{service}-migrate", service, [], egress)
