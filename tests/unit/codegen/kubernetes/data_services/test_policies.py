"""Network policies of the engines and of their clients."""

from typing import Any

import pytest

from codegen.kubernetes.data_services import policies
from codegen.kubernetes.data_services.common import build_client_selector
from codegen.kubernetes.network_policies import build_ports

CLIENTS = {"mongodb": ["orders"], "postgresql": ["gateway", "orders"]}


def build(**options: Any) -> Any:
    """Return the spec of a policy of PostgreSQL."""
    return policies.build_engine_policy("postgresql", ["gateway"], **options)["spec"]


def list_ports(rules: list[Any]) -> list[int]:
    return [port["port"] for rule in rules for port in rule["ports"]]


def test_engine_without_options_is_reached_by_clients_and_resolves_names() -> None:
    spec = build()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (clients,) = spec["ingress"]
    assert clients == {"from": [{"podSelector": build_client_selector(["gateway"])}], "ports": build_ports(5432)}
    assert {*list_ports(spec["egress"])} == {53}


def test_nodes_connect_to_each_other() -> None:
    spec = build(node_ports=build_ports(1))
    nodes = [{"podSelector": {"matchLabels": policies.POD_LABELS["postgresql"]}}]
    assert {"from": nodes, "ports": build_ports(1)} in spec["ingress"]
    assert {"to": nodes, "ports": build_ports(1)} in spec["egress"]


@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({"metrics_port": 2}, ("metrics", "${MESH}")),
        ({"operator": ("operators", (2,))}, ("kubernetes.io/metadata.name", "operators")),
    ],
    ids=["scrapers", "operator"],
)
def test_namespace_reaches_its_port_only(options: dict[str, Any], label: tuple[str, str]) -> None:
    _, rule = build(**options)["ingress"]
    assert rule == {"from": [{"namespaceSelector": {"matchLabels": dict([label])}}], "ports": build_ports(2)}


def test_api_server_is_reached_in_private_networks() -> None:
    _, rule = build(needs_api_server=True)["egress"]
    assert list_ports([rule]) == [443, 6443]
    assert {"ipBlock": {"cidr": "10.0.0.0/8"}} in rule["to"]


def test_object_storage_is_reached_at_public_addresses() -> None:
    _, rule = build(public_ports=(443,))["egress"]
    assert list_ports([rule]) == [443]
    assert all("10.0.0.0/8" in block["ipBlock"]["except"] for block in rule["to"][:1])


def test_clients_reach_their_engines_only() -> None:
    gateway, orders = policies.build_client_policies(["gateway", "orders"], CLIENTS)
    assert list_ports(gateway["spec"]["egress"]) == [5432]
    assert list_ports(orders["spec"]["egress"]) == [27017, 5432]
    assert gateway["spec"]["podSelector"] == build_client_selector(["gateway"])
    assert gateway["spec"]["policyTypes"] == ["Egress"]
