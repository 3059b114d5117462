"""Equality of the policies in the generated bootstraps and in the contracts."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from codegen.contracts import Contracts, load
from codegen.envoy.route_selection import list_routes
from codegen.protobuf import Method
from codegen.rest.operations import Operation, iter_operations
from deploy.local.mesh_config import CALLEES, SERVICES
from services.runtime.sidecar.uvicorn_server import KEEP_ALIVE_S
from tests.conftest import ROOT
from tests.envoys import list_envoys, load_bootstrap

PROFILES = ("development", "production")
CONTRACTS: Contracts = load(ROOT)
OPERATIONS = {operation.id: operation for operation in iter_operations(CONTRACTS, "delivery")}
METHODS = {
    service: [method for each in CONTRACTS.protos.services if each.package == f"delivery.{service}.v1"
              for method in each.methods]
    for service in CALLEES
}  # fmt: skip

type Node = dict[str, Any]


@cache
def cached_bootstrap(profile: str, name: str) -> Node:
    return load_bootstrap(profile, name)


def managers(profile: str, name: str) -> dict[str, Node]:
    """Return the HTTP connection manager of each listener."""
    listeners = cached_bootstrap(profile, name)["static_resources"]["listeners"]
    return {each["name"]: each["filter_chains"][0]["filters"][0]["typed_config"] for each in listeners}


def routes(manager: Node) -> list[Node]:
    return [route for host in manager["route_config"]["virtual_hosts"] for route in list_routes(host)]


def iter_items(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from iter_items(value)
    elif isinstance(node, list):
        for item in node:
            yield from iter_items(item)


def needs_token(route: Node) -> bool:
    return "requirement_name" in route["typed_per_filter_config"]["jwt"]


def permitted_principals(route: Node) -> set[str]:
    """Return the roles or SPIFFE ids in the RBAC rule of a route; empty if it permits all requests."""
    rule = route["typed_per_filter_config"]["rbac"]
    values = {value for key, value in iter_items(rule) if key in ("exact", "regex")}
    return {name for value in values for name in value.split("|")}


for_each_edge = pytest.mark.parametrize(
    ("profile", "listener"), [(profile, listener) for profile in PROFILES for listener in ("edge", "edge_tls")]
)


@for_each_edge
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_operation_has_one_route_with_its_policy(profile: str, listener: str, operation: Operation) -> None:
    (route,) = [r for r in routes(managers(profile, "gateway")[listener]) if r.get("name") == operation.id]
    assert needs_token(route) == (operation.scheme == "bearer")
    assert permitted_principals(route) == set(operation.roles)
    is_stream = "text/event-stream" in operation.content
    assert route["route"]["timeout"] == ("0s" if is_stream else operation.raw.get("x-timeout", "15s"))
    assert ("idle_timeout" in route["route"]) == is_stream
    assert uses_stream_limits(route) == is_stream
    limits = [name for name in route["typed_per_filter_config"] if name.startswith("body_")]
    assert limits == [f"body_{operation.raw.get('x-max-bytes', 64 * 1024)}"]
    if operation.method != "GET":
        assert "retry_policy" not in route["route"]
    assert "429" in operation.raw["responses"]
    assert "rate_limit_address" in route["typed_per_filter_config"]
    assert ("rate_limit_subject" in route["typed_per_filter_config"]) == (operation.scheme == "bearer")


@for_each_edge
def test_edge_forwards_only_operations_and_documents(profile: str, listener: str) -> None:
    forwarded = Counter(r["name"] for r in routes(managers(profile, "gateway")[listener]) if "route" in r)
    others = set(forwarded) - OPERATIONS.keys() - {"preflight"}
    assert all(name.startswith("document: ") for name in others)
    assert set(forwarded.values()) == {1}


@for_each_edge
def test_edge_denies_by_default_and_strips_client_headers(profile: str, listener: str) -> None:
    manager = managers(profile, "gateway")[listener]
    filters = {each["name"]: each["typed_config"] for each in manager["http_filters"]}
    order = list(filters)
    assert order.index("jwt") < order.index("rbac") < min(i for i, name in enumerate(order) if name.startswith("body_"))
    assert order.index("rate_limit_address") < order.index("jwt")
    assert order.index("rbac") < order.index("rate_limit_subject") < order.index("rate_limit_global")
    assert filters["rbac"]["rules"] == {"action": "ALLOW"}
    (rule,) = filters["jwt"]["rules"]
    assert rule["match"] == {"prefix": "/"}
    assert "provider_name" in rule["requires"]
    (provider,) = filters["jwt"]["providers"].values()
    assert provider["from_headers"] == [{"name": "authorization", "value_prefix": "Bearer "}]
    assert provider["audiences"] == ["${FIREBASE_PROJECT_ID}"]
    assert manager["use_remote_address"] is True
    assert manager["tracing"]["client_sampling"] == {"value": 0}
    (strip,) = manager["early_header_mutation_extensions"]
    stripped = {value for key, value in iter_items(strip) if key in ("prefix", "remove")}
    assert {"x-jwt-", "x-auth-", "traceparent", "tracestate"} <= stripped


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("service", CALLEES)
def test_ingress_method_permits_exactly_its_callers(profile: str, service: str) -> None:
    operators = {"ops"} if profile == "development" else set()
    routes_by_path = {route["match"]["path"]: route for route in routes(managers(profile, service)["ingress"])
                      if "path" in route["match"]}  # fmt: skip
    for method in METHODS[service]:
        route = routes_by_path.pop(method.path)
        assert permitted_principals(route) == {
            f"spiffe://delivery.local/{name}" for name in {*method.callers, *operators}
        }
        assert needs_token(route) == method.actor_required
        assert uses_stream_limits(route) == method.server_streaming
    assert list(routes_by_path) == ["/grpc.health.v1.Health/Check"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("caller", SERVICES)
def test_egress_routes_match_granted_methods(profile: str, caller: str) -> None:
    granted_methods = {m.path: m for methods in METHODS.values() for m in methods if caller in m.callers}
    egress = managers(profile, caller).get("egress")
    routes_by_path = {route["match"]["path"]: route for route in routes(egress)} if egress else {}
    assert routes_by_path.keys() == granted_methods.keys()
    for path, route in routes_by_path.items():
        assert attempts(route) == expected_attempts(granted_methods[path])
        assert route["route"]["timeout"] == "0s"
        assert uses_stream_limits(route) == granted_methods[path].server_streaming


def uses_stream_limits(route: Node) -> bool:
    return bool(route["route"].get("priority") == "HIGH")


@pytest.mark.parametrize(("profile", "name"), [(p, n) for p in PROFILES for n in list_envoys(p)])
def test_streams_have_separate_circuit_breaker_limits(profile: str, name: str) -> None:
    thresholds = {each["name"]: each.get("circuit_breakers", {}).get("thresholds", [])
                  for each in cached_bootstrap(profile, name)["static_resources"]["clusters"]}  # fmt: skip
    for manager in managers(profile, name).values():
        for route in routes(manager):
            if "route" in route and uses_stream_limits(route):
                requests, streams = thresholds[route["route"]["cluster"]]
                assert "priority" not in requests
                assert streams["priority"] == "HIGH"
                assert streams["max_requests"] > requests["max_requests"]


@pytest.mark.parametrize(("profile", "name"), [(p, n) for p in PROFILES for n in list_envoys(p)])
def test_idle_connection_is_closed_by_the_sidecar_before_the_app(profile: str, name: str) -> None:
    """Otherwise a request may be sent on a connection that the app is closing."""
    for cluster in cached_bootstrap(profile, name)["static_resources"]["clusters"]:
        paths = [value["path"] for key, value in iter_items(cluster) if key == "pipe"]
        options: Node = next(iter(cluster.get("typed_extension_protocol_options", {}).values()), {})
        is_http2 = "http2_protocol_options" in options.get("explicit_http_config", {})
        # The server of the metrics closes each connection after its response, and an Envoy serves its admin interface.
        if paths and not is_http2 and cluster["name"] not in ("metrics", "admin"):
            idle_timeout = options.get("common_http_protocol_options", {}).get("idle_timeout", "3600s")
            assert 0 < float(idle_timeout.removesuffix("s")) < KEEP_ALIVE_S, cluster["name"]


def attempts(route: Node) -> int:
    """Return the maximum number of instances that receive a call."""
    policy = route["route"]["retry_policy"]
    is_retried_if_unsent = {*policy["retry_on"].split(",")} <= {
        "connect-failure",
        "refused-stream",
        "reset-before-request",
    }
    return 1 if is_retried_if_unsent else 1 + int(policy["num_retries"])


def expected_attempts(method: Method) -> int:
    return method.attempts if method.is_idempotent else 1


@pytest.mark.parametrize(("profile", "name"), [(p, n) for p in PROFILES for n in list_envoys(p)])
def test_tls_between_sidecars_is_mutual_with_exact_identity(profile: str, name: str) -> None:
    resources = cached_bootstrap(profile, name)["static_resources"]
    for each in resources["listeners"]:
        chain = each["filter_chains"][0]
        if each["name"] == "ingress":
            assert chain["transport_socket"]["typed_config"]["require_client_certificate"] is True
    for cluster in resources["clusters"]:
        if cluster["name"] not in CALLEES:
            continue
        context = cluster["transport_socket"]["typed_config"]["common_tls_context"]
        (san,) = context["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"]
        assert san == {"san_type": "URI", "matcher": {"exact": f"spiffe://delivery.local/{cluster['name']}"}}
        assert cluster["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if "requestBody" in operation.raw])
def test_operation_with_body_documents_rejections_by_the_edge(name: str) -> None:
    assert {"408", "413"} <= OPERATIONS[name].raw["responses"].keys(), "unfinished and too large bodies"
