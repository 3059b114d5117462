"""Configuration of the HTTP/1.1 connections between an app and its sidecar."""

import pytest

from codegen.envoy import grpc_bridge, sidecar
from codegen.envoy.common import Config, Profile
from codegen.protobuf import Method
from tests.unit.codegen.sample_contracts import create_contracts, create_method, create_service, create_stream

GET = create_method("GetNote")
WATCH = create_stream("WatchNotes")
CONTRACTS = create_contracts(create_service("notes", GET, WATCH))
DOMAIN = "delivery.local"


def ingress() -> Config:
    listener = sidecar.build_ingress_listener(CONTRACTS, Profile("production"), DOMAIN, "notes", ["gateway", "notes"])
    manager: Config = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


def test_egress_accepts_both_protocols_and_sends_trailers_over_http1() -> None:
    (listener,) = sidecar.build_egress_listeners(CONTRACTS, "gateway", ["notes"])
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["codec_type"] == "AUTO"
    assert manager["http_protocol_options"] == {"enable_trailers": True}
    assert manager["route_config"]["response_headers_to_remove"] == ["content-length"]


@pytest.mark.parametrize(("method", "cluster"), [(GET, "app_http1"), (WATCH, "app")], ids=["unary", "stream"])
def test_ingress_routes_unary_methods_to_http1_cluster(method: Method, cluster: str) -> None:
    (host,) = ingress()["route_config"]["virtual_hosts"]
    route = next(route for route in host["routes"] if route["match"].get("path") == method.path)
    assert route["route"]["cluster"] == cluster
    assert (grpc_bridge.BRIDGE_FILTER in route["typed_per_filter_config"]) == (cluster == "app_http1")


def test_only_routes_of_unary_methods_and_health_checks_use_the_bridge() -> None:
    (host,) = ingress()["route_config"]["virtual_hosts"]
    bridged = {
        route["name"]
        for route in host["routes"]
        if grpc_bridge.BRIDGE_FILTER in route.get("typed_per_filter_config", {})
    }
    assert bridged == {GET.path.removeprefix("/"), "health"}


def test_bridge_is_disabled_by_default_and_precedes_authentication() -> None:
    bridge = ingress()["http_filters"][0]
    assert (bridge["name"], bridge["disabled"]) == (grpc_bridge.BRIDGE_FILTER, True)
    assert bridge["typed_config"]["content_type"] == "application/grpc"


def test_http1_cluster_closes_connections_before_the_app() -> None:
    cluster = grpc_bridge.build_unary_cluster("notes")
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"] == {"pipe": {"path": "${RUN_DIR}/notes-http1.sock"}}
    (options,) = cluster["typed_extension_protocol_options"].values()
    assert options["common_http_protocol_options"] == {"idle_timeout": "60s"}


def test_http1_cluster_permits_a_burst_of_calls() -> None:
    requests, _ = grpc_bridge.build_unary_cluster("notes")["circuit_breakers"]["thresholds"]
    assert {requests[f"max_{name}"] for name in ("connections", "pending_requests", "requests")} == {1024}
