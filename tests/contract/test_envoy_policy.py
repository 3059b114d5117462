"""The generated bootstraps open exactly what the contracts open, for exactly whom they name."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from codegen.contracts import Contracts, load
from codegen.protobuf import Method
from codegen.rest.operations import Operation, operations
from tests.conftest import ROOT
from tests.envoys import list_envoys, load_bootstrap

PROFILES = ("development", "production")
SERVICES = ("orders", "partners", "notifications")
CONTRACTS: Contracts = load(ROOT)
OPERATIONS = {operation.id: operation for operation in operations(CONTRACTS, "delivery")}
METHODS = {
    service: [method for found in CONTRACTS.protos.services if found.package == f"delivery.{service}.v1"
              for method in found.methods]
    for service in SERVICES
}  # fmt: skip

type Node = dict[str, Any]


@cache
def envoy(profile: str, name: str) -> Node:
    return load_bootstrap(profile, name)


def managers(profile: str, name: str) -> dict[str, Node]:
    """By listener, what speaks HTTP on it."""
    listeners = envoy(profile, name)["static_resources"]["listeners"]
    return {each["name"]: each["filter_chains"][0]["filters"][0]["typed_config"] for each in listeners}


def routes(manager: Node) -> list[Node]:
    return [route for host in manager["route_config"]["virtual_hosts"] for route in host["routes"]]


def walk(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from walk(value)
    elif isinstance(node, list):
        for item in node:
            yield from walk(item)


def needs_token(route: Node) -> bool:
    return "requirement_name" in route["typed_per_filter_config"]["jwt"]


def granted(route: Node) -> set[str]:
    """The roles, or the SPIFFE ids, that a route's rule names; empty when it lets everybody pass."""
    rule = route["typed_per_filter_config"]["rbac"]
    found = {value for key, value in walk(rule) if key in ("exact", "regex")}
    return {word for value in found for word in value.split("|")}


edges = pytest.mark.parametrize(("profile", "door"), [(p, d) for p in PROFILES for d in ("edge", "edge_tls")])


@edges
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_an_operation_has_one_route_with_its_rule(profile: str, door: str, operation: Operation) -> None:
    (route,) = [r for r in routes(managers(profile, "gateway")[door]) if r.get("name") == operation.id]
    assert needs_token(route) == (operation.scheme == "bearer")
    assert granted(route) == set(operation.roles)
    streams = "text/event-stream" in operation.content
    assert route["route"]["timeout"] == ("0s" if streams else operation.raw.get("x-timeout", "15s"))
    assert ("idle_timeout" in route["route"]) == streams
    assert counted_apart(route) == streams
    limits = [name for name in route["typed_per_filter_config"] if name.startswith("body_")]
    assert limits == [f"body_{operation.raw.get('x-max-bytes', 64 * 1024)}"]
    if operation.method != "GET":
        assert "retry_policy" not in route["route"]


@edges
def test_the_edge_sends_nothing_else_on_but_documents(profile: str, door: str) -> None:
    forwarded = Counter(r["name"] for r in routes(managers(profile, "gateway")[door]) if "route" in r)
    rest = set(forwarded) - OPERATIONS.keys() - {"preflight"}
    assert all(name.startswith("document: ") for name in rest)
    assert set(forwarded.values()) == {1}


@edges
def test_the_edge_is_closed_by_default_and_believes_no_client(profile: str, door: str) -> None:
    manager = managers(profile, "gateway")[door]
    filters = {each["name"]: each["typed_config"] for each in manager["http_filters"]}
    order = list(filters)
    assert order.index("jwt") < order.index("rbac") < min(i for i, name in enumerate(order) if name.startswith("body_"))
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
    stripped = {value for key, value in walk(strip) if key in ("prefix", "remove")}
    assert {"x-jwt-", "x-auth-", "traceparent", "tracestate"} <= stripped


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("service", SERVICES)
def test_a_method_is_open_to_its_callers(profile: str, service: str) -> None:
    people = {"ops"} if profile == "development" else set()
    found = {route["match"]["path"]: route for route in routes(managers(profile, service)["ingress"])
             if "path" in route["match"]}  # fmt: skip
    for method in METHODS[service]:
        route = found.pop(method.path)
        assert granted(route) == {f"spiffe://delivery.local/{name}" for name in {*method.callers, *people}}
        assert needs_token(route) == method.actor_required
        assert counted_apart(route) == method.server_streaming
    assert list(found) == ["/grpc.health.v1.Health/Check"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("caller", ["gateway", *SERVICES])
def test_a_sidecar_calls_only_what_it_is_granted(profile: str, caller: str) -> None:
    granted_methods = {m.path: m for methods in METHODS.values() for m in methods if caller in m.callers}
    egress = managers(profile, caller).get("egress")
    found = {route["match"]["path"]: route for route in routes(egress)} if egress else {}
    assert found.keys() == granted_methods.keys()
    for path, route in found.items():
        assert tries(route) == expected_tries(granted_methods[path])
        assert route["route"]["timeout"] == "0s"
        assert counted_apart(route) == granted_methods[path].server_streaming


def counted_apart(route: Node) -> bool:
    return bool(route["route"].get("priority") == "HIGH")


@pytest.mark.parametrize(("profile", "name"), [(p, n) for p in PROFILES for n in list_envoys(p)])
def test_streams_leave_requests_their_room(profile: str, name: str) -> None:
    bounds = {each["name"]: each.get("circuit_breakers", {}).get("thresholds", [])
              for each in envoy(profile, name)["static_resources"]["clusters"]}  # fmt: skip
    for manager in managers(profile, name).values():
        for route in routes(manager):
            if "route" in route and counted_apart(route):
                requests, streams = bounds[route["route"]["cluster"]]
                assert "priority" not in requests
                assert streams["priority"] == "HIGH"
                assert streams["max_requests"] > requests["max_requests"]


def tries(route: Node) -> int:
    return 1 + int(route["route"].get("retry_policy", {}).get("num_retries", 0))


def expected_tries(method: Method) -> int:
    return method.attempts if method.is_idempotent else 1


@pytest.mark.parametrize(("profile", "name"), [(p, n) for p in PROFILES for n in list_envoys(p)])
def test_tls_between_sidecars_is_mutual_and_exact(profile: str, name: str) -> None:
    resources = envoy(profile, name)["static_resources"]
    for each in resources["listeners"]:
        chain = each["filter_chains"][0]
        if each["name"] == "ingress":
            assert chain["transport_socket"]["typed_config"]["require_client_certificate"] is True
    for cluster in resources["clusters"]:
        if cluster["name"] not in SERVICES:
            continue
        context = cluster["transport_socket"]["typed_config"]["common_tls_context"]
        (san,) = context["validation_context"]["match_typed_subject_alt_names"]
        assert san == {"san_type": "URI", "matcher": {"exact": f"spiffe://delivery.local/{cluster['name']}"}}
        assert cluster["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}
