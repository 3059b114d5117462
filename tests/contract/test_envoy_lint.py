"""The lint finds each mistake that Envoy's own validation lets pass."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from codegen.contracts import ContractError, Contracts, load
from codegen.envoy import lint
from tests.conftest import ROOT
from tests.envoys import load_bootstrap

type Node = dict[str, Any]


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load(ROOT)


def listener(made: Node, name: str) -> Node:
    (found,) = [each for each in made["static_resources"]["listeners"] if each["name"] == name]
    chain: Node = found["filter_chains"][0]
    return chain


def manager(made: Node, name: str) -> Node:
    found: Node = listener(made, name)["filters"][0]["typed_config"]
    return found


def route(made: Node, door: str, name: str) -> Node:
    hosts = manager(made, door)["route_config"]["virtual_hosts"]
    found: Node = next(each for host in hosts for each in host["routes"] if each["name"] == name)
    return found


def jwt(made: Node, door: str) -> Node:
    found: Node = next(each for each in manager(made, door)["http_filters"] if each["name"] == "jwt")["typed_config"]
    return found


def provider(made: Node) -> Node:
    found: Node = next(iter(jwt(made, "edge")["providers"].values()))
    return found


def drop_route(made: Node) -> None:
    routes = manager(made, "edge")["route_config"]["virtual_hosts"][0]["routes"]
    routes.remove(route(made, "edge", "getOrder"))


def double_route(made: Node) -> None:
    routes = manager(made, "edge")["route_config"]["virtual_hosts"][0]["routes"]
    routes.append(copy.deepcopy(route(made, "edge", "getOrder")))


def open_filter(made: Node, door: str, name: str) -> None:
    filters = manager(made, door)["http_filters"]
    filters[:] = [each for each in filters if each["name"] != name]


def drop_method(made: Node) -> None:
    routes = manager(made, "ingress")["route_config"]["virtual_hosts"][0]["routes"]
    routes.remove(route(made, "ingress", "delivery.orders.v1.OrdersService/GetOrder"))


MISTAKES: dict[str, tuple[str, Callable[[Node], object], str]] = {
    "verdicts cached": ("gateway", lambda b: provider(b).update(jwt_cache_config={}), "jwt_cache_config"),
    "tokens in queries": ("gateway", lambda b: provider(b).update(from_params=["access_token"]), "from_params"),
    "loopback trusted": ("gateway", lambda b: manager(b, "edge").update(internal_address_config={}), "internal_addr"),
    "no rule for tokens": (
        "gateway", lambda b: route(b, "edge", "getOrder")["typed_per_filter_config"].pop("jwt"), "getOrder"),
    "no rule for roles": (
        "gateway", lambda b: route(b, "edge_tls", "getOrder")["typed_per_filter_config"].pop("rbac"), "getOrder"),
    "no rule between services": (
        "orders",
        lambda b: route(b, "ingress", "delivery.orders.v1.OrdersService/GetOrder").pop("typed_per_filter_config"),
        "GetOrder",
    ),
    "no rule for operators": ("ops", lambda b: route(b, "ops", "admins").pop("typed_per_filter_config"), "admins"),
    "an operation without route": ("gateway", drop_route, "getOrder"),
    "an operation with two": ("gateway", double_route, "getOrder"),
    "a change tried again": (
        "gateway",
        lambda b: route(b, "edge", "confirmOrder")["route"].update(retry_policy={"num_retries": 1}),
        "confirmOrder",
    ),
    "a call tried again that is not idempotent": (
        "gateway",
        lambda b: route(b, "egress", "delivery.orders.v1.OrdersService/GetOrder")["match"].update(
            path="/delivery.orders.v1.OrdersService/NotIdempotent"),
        "GetOrder",
    ),
    "TLS with one bound": (
        "orders",
        lambda b: listener(b, "ingress")["transport_socket"]["typed_config"]["common_tls_context"]["tls_params"].pop(
            "tls_maximum_protocol_version"),
        "tls_params",
    ),
    "a role that the contract does not name": (
        "gateway",
        lambda b: route(b, "edge", "assignOrder").update(
            typed_per_filter_config=route(b, "edge", "listOrders")["typed_per_filter_config"]
        ),
        "assignOrder",
    ),
    "an operation made public": (
        "gateway",
        lambda b: route(b, "edge", "getOrder").update(
            typed_per_filter_config=route(b, "edge", "signIn")["typed_per_filter_config"]
        ),
        "getOrder",
    ),
    "no body limit": (
        "gateway",
        lambda b: route(b, "edge", "signIn")["typed_per_filter_config"].pop("body_65536"),
        "signIn",
    ),
    "a method without route": ("orders", drop_method, "GetOrder"),
    "no filter for tokens": ("gateway", lambda b: open_filter(b, "edge", "jwt"), "jwt"),
    "no filter for roles": ("ops", lambda b: open_filter(b, "ops", "rbac"), "rbac"),
    "identity headers taken from clients": (
        "gateway",
        lambda b: manager(b, "edge").pop("early_header_mutation_extensions"),
        "early_header_mutation",
    ),
    "clients who decide on tracing": (
        "gateway",
        lambda b: manager(b, "edge")["tracing"].update(client_sampling={"value": 100}),
        "client_sampling",
    ),
    "spans that say who asked": (
        "gateway",
        lambda b: manager(b, "edge")["tracing"]["custom_tags"].pop(),
        "user_agent",
    ),
    "traces that are torn": (
        "orders",
        lambda b: manager(b, "ingress")["tracing"].update(random_sampling={"value": "1"}),
        "the edge decides",
    ),
    "TLS without bounds": (
        "orders",
        lambda b: listener(b, "ingress")["transport_socket"]["typed_config"]["common_tls_context"].pop("tls_params"),
        "tls_params",
    ),
    "no client certificate": (
        "orders",
        lambda b: listener(b, "ingress")["transport_socket"]["typed_config"].pop("require_client_certificate"),
        "certificate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["gateway", "orders", "partners", "notifications", "ops"])
def test_what_is_generated_has_none(contracts: Contracts, name: str) -> None:
    lint.check(contracts, name, load_bootstrap("development", name))


@pytest.mark.parametrize(("name", "plant", "word"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_planted_mistake_is_found(
    contracts: Contracts, name: str, plant: Callable[[Node], object], word: str
) -> None:
    made = load_bootstrap("development", name)
    plant(made)
    with pytest.raises(ContractError, match=word):
        lint.check(contracts, name, made)
