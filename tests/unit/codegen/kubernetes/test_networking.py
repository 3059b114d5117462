"""Service and certificate of a service."""

from typing import Any

import pytest

from codegen.kubernetes.networking import build_service, build_sidecar_certificate, list_sidecar_ports
from codegen.kubernetes.objects import build_certificate_volume, build_labels

SETTINGS = ("EDGE_PORT", "EDGE_TLS_PORT", "ORDERS_INGRESS_PORT", "ORDERS_PROBE_PORT", "GATEWAY_PROBE_PORT")
MESH: dict[str, Any] = {"settings": {name: {"default": 1000 + number} for number, name in enumerate(SETTINGS)}}


@pytest.mark.parametrize(
    ("service", "ports"),
    [("gateway", {"edge": 1000, "edge-tls": 1001, "probe": 1004}), ("orders", {"ingress": 1002, "probe": 1003})],
)
def test_ports_are_the_defaults_of_the_mesh(service: str, ports: dict[str, int]) -> None:
    assert list_sidecar_ports(MESH, service) == ports


def test_unknown_service_raises_key_error() -> None:
    with pytest.raises(KeyError, match="MAIL_INGRESS_PORT"):
        list_sidecar_ports(MESH, "mail")


@pytest.mark.parametrize(("service", "is_headless"), [("gateway", False), ("orders", True)])
def test_services_behind_sidecars_are_headless(service: str, is_headless: bool) -> None:
    spec = build_service(service, list_sidecar_ports(MESH, service))["spec"]
    assert (spec.get("clusterIP") == "None") == is_headless
    assert spec["selector"] == build_labels(service)


def test_probe_port_is_not_part_of_the_service() -> None:
    assert build_service("orders", list_sidecar_ports(MESH, "orders"))["spec"]["ports"] == [
        {"name": "ingress", "port": 1002, "targetPort": "ingress"}
    ]


def test_certificate_contains_only_the_spiffe_id() -> None:
    certificate = build_sidecar_certificate("orders", "delivery.example")
    assert certificate["metadata"] == {"name": "orders", "labels": build_labels("orders")}
    spec = certificate["spec"]
    assert spec["uris"] == ["spiffe://delivery.example/orders"]
    assert not spec.keys() & {"dnsNames", "commonName", "ipAddresses"}
    assert set(spec["usages"]) == {"server auth", "client auth"}
    assert spec["secretName"] == "orders-pki"


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("orders", {"tls.crt": "orders.pem", "tls.key": "orders.key", "ca.crt": "ca.pem"}),
        ("edge", {"tls.crt": "edge.pem", "tls.key": "edge.key"}),
    ],
)
def test_certificate_volume_has_the_file_names_of_bootstraps(name: str, files: dict[str, str]) -> None:
    volume = build_certificate_volume(f"{name}-pki", name)
    assert {each["key"]: each["path"] for each in volume["items"]} == files
