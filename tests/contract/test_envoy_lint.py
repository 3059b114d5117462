"""Lint of the bootstraps with injected violations that Envoy's validation accepts."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from codegen.contracts import ContractError, Contracts, load
from codegen.envoy import lint
from codegen.envoy.route_selection import list_route_groups, list_routes
from deploy.local.mesh_config import OPERATOR_SIDECAR, SERVICES
from tests.conftest import ROOT
from tests.envoys import load_bootstrap

type Node = dict[str, Any]


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load(ROOT)


def listener(bootstrap: Node, name: str) -> Node:
    (match,) = [each for each in bootstrap["static_resources"]["listeners"] if each["name"] == name]
    chain: Node = match["filter_chains"][0]
    return chain


def manager(bootstrap: Node, name: str) -> Node:
    result: Node = listener(bootstrap, name)["filters"][0]["typed_config"]
    return result


def route(bootstrap: Node, listener_name: str, name: str) -> Node:
    hosts = manager(bootstrap, listener_name)["route_config"]["virtual_hosts"]
    result: Node = next(each for host in hosts for each in list_routes(host) if each["name"] == name)
    return result


def jwt(bootstrap: Node, listener_name: str) -> Node:
    result: Node = next(each for each in manager(bootstrap, listener_name)["http_filters"] if each["name"] == "jwt")[
        "typed_config"
    ]
    return result


def provider(bootstrap: Node) -> Node:
    result: Node = next(iter(jwt(bootstrap, "edge")["providers"].values()))
    return result


def find_edge_routes(bootstrap: Node, name: str) -> list[Node]:
    """Return the list of the edge that contains a route."""
    (host,) = manager(bootstrap, "edge")["route_config"]["virtual_hosts"]
    return next(group for group in list_route_groups(host) if any(each["name"] == name for each in group))


def remove_route(bootstrap: Node) -> None:
    find_edge_routes(bootstrap, "getOrder").remove(route(bootstrap, "edge", "getOrder"))


def duplicate_route(bootstrap: Node) -> None:
    find_edge_routes(bootstrap, "getOrder").append(copy.deepcopy(route(bootstrap, "edge", "getOrder")))


def remove_filter(bootstrap: Node, listener_name: str, name: str) -> None:
    filters = manager(bootstrap, listener_name)["http_filters"]
    filters[:] = [each for each in filters if each["name"] != name]


def remove_method(bootstrap: Node) -> None:
    routes = manager(bootstrap, "ingress")["route_config"]["virtual_hosts"][0]["routes"]
    routes.remove(route(bootstrap, "ingress", "delivery.orders.v1.OrdersService/GetOrder"))


VIOLATIONS: dict[str, tuple[str, Callable[[Node], object], str]] = {
    "JWT cache": ("gateway", lambda b: provider(b).update(jwt_cache_config={}), "jwt_cache_config"),
    "token in query string": ("gateway", lambda b: provider(b).update(from_params=["access_token"]), "from_params"),
    "loopback address trusted": (
        "gateway", lambda b: manager(b, "edge").update(internal_address_config={}), "internal_addr"),
    "operation without token rule": (
        "gateway", lambda b: route(b, "edge", "getOrder")["typed_per_filter_config"].pop("jwt"), "getOrder"),
    "operation without role rule": (
        "gateway", lambda b: route(b, "edge_tls", "getOrder")["typed_per_filter_config"].pop("rbac"), "getOrder"),
    "method without authorization": (
        "orders",
        lambda b: route(b, "ingress", "delivery.orders.v1.OrdersService/GetOrder").pop("typed_per_filter_config"),
        "GetOrder",
    ),
    "operator route without authorization": (
        "ops", lambda b: route(b, "ops", "admins").pop("typed_per_filter_config"), "admins"),
    "operation without route": ("gateway", remove_route, "getOrder"),
    "operation without buffering": (
        "gateway",
        lambda b: route(b, "edge", "signIn")["typed_per_filter_config"].pop("buffer"),
        "signIn is not an upload and not buffered",
    ),
    "operation without rate limit": (
        "gateway",
        lambda b: route(b, "edge", "signUp")["typed_per_filter_config"].pop("rate_limit_address"),
        "rate limits of signUp",
    ),
    "operation with another rate limit": (
        "gateway",
        lambda b: route(b, "edge_tls", "signUp")["typed_per_filter_config"]["rate_limit_global"]["token_bucket"].update(
            max_tokens="7"),
        "rate limits of signUp",
    ),
    "operation with two routes": ("gateway", duplicate_route, "getOrder"),
    "retry of POST operation": (
        "gateway",
        lambda b: route(b, "edge", "confirmOrder")["route"].update(retry_policy={"num_retries": 1}),
        "confirmOrder",
    ),
    "retry of non-idempotent method": (
        "gateway",
        lambda b: route(b, "egress", "delivery.orders.v1.OrdersService/GetOrder")["match"].update(
            path="/delivery.orders.v1.OrdersService/NotIdempotent"),
        "GetOrder",
    ),
    "TLS without maximum version": (
        "orders",
        lambda b: listener(b, "ingress")["transport_socket"]["typed_config"]["common_tls_context"]["tls_params"].pop(
            "tls_maximum_protocol_version"),
        "tls_params",
    ),
    "role not in contract": (
        "gateway",
        lambda b: route(b, "edge", "assignOrder").update(
            typed_per_filter_config=route(b, "edge", "listOrders")["typed_per_filter_config"]
        ),
        "assignOrder",
    ),
    "operation made public": (
        "gateway",
        lambda b: route(b, "edge", "getOrder").update(
            typed_per_filter_config=route(b, "edge", "signIn")["typed_per_filter_config"]
        ),
        "getOrder",
    ),
    "operation without body limit": (
        "gateway",
        lambda b: route(b, "edge", "signIn")["typed_per_filter_config"].pop("body_65536"),
        "signIn",
    ),
    "method without route": ("orders", remove_method, "GetOrder"),
    "listener without JWT filter": ("gateway", lambda b: remove_filter(b, "edge", "jwt"), "jwt"),
    "listener without RBAC filter": ("ops", lambda b: remove_filter(b, "ops", "rbac"), "rbac"),
    "internal headers from clients": (
        "gateway",
        lambda b: manager(b, "edge").pop("early_header_mutation_extensions"),
        "early_header_mutation",
    ),
    "client sampling": (
        "gateway",
        lambda b: manager(b, "edge")["tracing"].update(client_sampling={"value": 100}),
        "client_sampling",
    ),
    "span tag with personal data": (
        "gateway",
        lambda b: manager(b, "edge")["tracing"]["custom_tags"].pop(),
        "user_agent",
    ),
    "sampling in inner hop": (
        "orders",
        lambda b: manager(b, "ingress")["tracing"].update(random_sampling={"value": "1"}),
        "only the edge decides",
    ),
    "TLS without version bounds": (
        "orders",
        lambda b: listener(b, "ingress")["transport_socket"]["typed_config"]["common_tls_context"].pop("tls_params"),
        "tls_params",
    ),
    "ingress without client certificate": (
        "orders",
        lambda b: listener(b, "ingress")["transport_socket"]["typed_config"].pop("require_client_certificate"),
        "certificate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*SERVICES, OPERATOR_SIDECAR])
def test_generated_bootstrap_has_no_violations(contracts: Contracts, name: str) -> None:
    lint.check(contracts, name, load_bootstrap("development", name))


@pytest.mark.parametrize(("name", "inject", "message"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_injected_violation_is_reported(
    contracts: Contracts, name: str, inject: Callable[[Node], object], message: str
) -> None:
    bootstrap = load_bootstrap("development", name)
    inject(bootstrap)
    with pytest.raises(ContractError, match=message):
        lint.check(contracts, name, bootstrap)
