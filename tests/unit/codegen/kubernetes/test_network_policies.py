"""Ingress and egress rules of the services' network policies."""

from ipaddress import ip_address, ip_network

import pytest

from codegen.contracts import ContractError
from codegen.envoy.common import Config
from codegen.kubernetes import network_policies
from codegen.kubernetes.network_policies import Connections, read_connections
from codegen.kubernetes.objects import build_labels
from codegen.mesh import PLACEHOLDER, list_services, load_mesh
from tests.conftest import ROOT

PORTS = {"ingress": 1002, "probe": 1003}
EDGE_PORTS = {"edge": 1000, "edge-tls": 1001, "probe": 1004}
OTLP_PORT = 4317
DATABASE_ONLY = Connections(("postgresql",), ())


def is_permitted(rules: list[Config], address: str, port: int, protocol: str = "TCP") -> bool:
    """Return whether a rule permits connections to the address, which is no pod of the cluster."""
    return any(
        any(
            ip_address(address) in ip_network(block["ipBlock"]["cidr"])
            and not any(ip_address(address) in ip_network(excluded) for excluded in block["ipBlock"].get("except", []))
            for block in rule["to"]
            if "ipBlock" in block
        )
        and any(each["protocol"] == protocol and each.get("port", port) == port for each in rule["ports"])
        for rule in rules
    )


def test_callers_of_the_contract_reach_the_ingress() -> None:
    _, ingress = network_policies.build_ingress_rules(PORTS, ["gateway", "partners"])
    assert ingress["ports"] == [{"port": "ingress"}]
    assert ingress["from"] == [{"podSelector": {"matchLabels": build_labels(name)}} for name in ("gateway", "partners")]


def test_any_client_reaches_the_edge() -> None:
    _, edge = network_policies.build_ingress_rules(EDGE_PORTS, [])
    assert edge == {"ports": [{"port": "edge"}, {"port": "edge-tls"}]}


@pytest.mark.parametrize("ports", [EDGE_PORTS, PORTS], ids=["gateway", "orders"])
def test_only_scrapers_reach_the_probe_port(ports: dict[str, int]) -> None:
    probe, *others = network_policies.build_ingress_rules(ports, ["gateway"])
    assert probe["ports"] == [{"port": "probe"}]
    assert probe["from"] == [{"namespaceSelector": {"matchLabels": {"metrics": PLACEHOLDER}}}]
    assert all({"port": "probe"} not in rule["ports"] for rule in others)


def test_policy_restricts_both_directions() -> None:
    spec = network_policies.build_network_policy("orders", "orders", [], [])["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["podSelector"] == {"matchLabels": build_labels("orders")}


def test_callees_of_the_contract_are_reached_at_their_ingress() -> None:
    rules = network_policies.build_egress_rules(DATABASE_ONLY, {"orders": 15002, "partners": 15003}, OTLP_PORT)
    pods = {
        each["podSelector"]["matchLabels"]["app.kubernetes.io/name"]: rule["ports"]
        for rule in rules
        for each in rule["to"]
        if "podSelector" in each
    }
    assert pods == {
        name: [{"protocol": "TCP", "port": port}] for name, port in (("orders", 15002), ("partners", 15003))
    }


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_names_are_resolved_in_kube_system_only(protocol: str) -> None:
    rules = network_policies.build_egress_rules(DATABASE_ONLY, {}, OTLP_PORT)
    (dns,) = (rule for rule in rules if {"protocol": protocol, "port": 53} in rule["ports"])
    assert dns["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]


def test_traces_are_sent_to_labelled_namespaces() -> None:
    rules = network_policies.build_egress_rules(DATABASE_ONLY, {}, OTLP_PORT)
    (collector,) = (rule for rule in rules if {"protocol": "TCP", "port": OTLP_PORT} in rule["ports"])
    assert collector["to"] == [{"namespaceSelector": {"matchLabels": {"traces": PLACEHOLDER}}}]


@pytest.mark.parametrize(
    ("stores", "ports"),
    [([], {5432, 5671, 5672}), (["mongodb"], {5432, 27017, 5671, 5672}), (["memcached"], {5432, 5671, 5672, 11211})],
)
@pytest.mark.parametrize("address", ["10.1.2.3", "172.20.0.1", "192.168.1.1", "fd00::1"])
def test_private_addresses_are_reached_at_ports_of_stores_only(
    stores: list[str], ports: set[int], address: str
) -> None:
    connections = read_connections({"connections": {"notes": {"stores": stores, "public_ports": "all"}}}, "notes")
    rules = network_policies.build_egress_rules(connections, {}, OTLP_PORT)
    permitted = {port for port in (80, 443, 5432, 5671, 5672, 8443, 11211, 27017) if is_permitted(rules, address, port)}
    assert permitted == ports


@pytest.mark.parametrize(
    ("public_ports", "ports"),
    [
        ([], set()),
        ([443], {443}),
        ([443, 465, 587], {443, 465, 587}),
        ("all", {80, 443, 465, 587, 8443}),
    ],
)
@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111"])
def test_public_addresses_are_reached_at_needed_ports(
    public_ports: list[int] | str, ports: set[int], address: str
) -> None:
    connections = read_connections({"connections": {"notes": {"public_ports": public_ports}}}, "notes")
    rules = network_policies.build_egress_rules(connections, {}, OTLP_PORT)
    assert {port for port in (80, 443, 465, 587, 8443) if is_permitted(rules, address, port)} == ports


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ("gateway", {443}),
        ("orders", {80, 443, 8443}),  # banks register URLs with ports of their own
        ("notifications", {443}),
    ],
)
def test_services_reach_the_public_ports_that_they_need(service: str, ports: set[int]) -> None:
    rules = network_policies.build_egress_rules(read_connections(load_mesh(ROOT), service), {}, OTLP_PORT)
    assert {port for port in (80, 443, 8443) if is_permitted(rules, "1.1.1.1", port)} == ports


def test_unknown_store_is_rejected() -> None:
    with pytest.raises(ContractError, match="connections of notes: unknown store cassandra"):
        read_connections({"connections": {"notes": {"stores": ["cassandra"]}}}, "notes")


@pytest.mark.parametrize("service", list_services(load_mesh(ROOT)))
@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "100.64.0.1", "fe80::1"])
def test_metadata_service_and_local_addresses_are_denied(service: str, address: str) -> None:
    rules = network_policies.build_egress_rules(read_connections(load_mesh(ROOT), service), {}, OTLP_PORT)
    assert not any(is_permitted(rules, address, port) for port in (80, 443, 5432))


@pytest.mark.parametrize(("service", "ports"), [("orders", {5432, 27017}), ("partners", {5432})])
def test_migration_reaches_its_databases_only(service: str, ports: set[int]) -> None:
    policy = network_policies.build_migration_policy(service, read_connections(load_mesh(ROOT), service))
    spec = policy["spec"]
    assert spec["podSelector"]["matchLabels"] == build_labels(f"{service}-migrate")
    assert spec["ingress"] == []
    assert {port for port in (443, 5432, 5671, 27017) if is_permitted(spec["egress"], "10.1.2.3", port)} == ports
    assert not is_permitted(spec["egress"], "1.1.1.1", 443)
