"""What `envoy --mode validate` accepts and we do not."""

from collections.abc import Iterator
from typing import Any

from codegen.contracts import ContractError, Contracts
from codegen.envoy.common import JWT, RBAC, Config
from codegen.operations import operations

GUARDED = ("edge", "ingress", "ops")
"""Listeners of which every route must say who may pass."""
DEFAULT_CLOSED = "ungranted"
"""The one route that leaves it to the filters' own defaults."""
FORBIDDEN = {
    "jwt_cache_config": "keeps accepting tokens whose key has left the set",
    "from_params": "accepts tokens in the query string, which end up in logs",
    "internal_address_config": "lets clients of this machine send internal headers",
}


def walk(node: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every key with where it stands and its value."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield path, key, value
            yield from walk(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{path}[{index}]")


def managers(bootstrap: Config) -> Iterator[tuple[str, Config]]:
    """The HTTP managers by listener."""
    for listener in bootstrap["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            for found in chain["filters"]:
                yield listener["name"], found["typed_config"]


def routes(manager: Config) -> Iterator[Config]:
    """All routes of a manager."""
    for host in manager["route_config"]["virtual_hosts"]:
        yield from host["routes"]


def mistakes(contracts: Contracts, name: str, bootstrap: Config) -> Iterator[str]:
    """Each in one sentence."""
    for path, key, value in walk(bootstrap):
        if key in FORBIDDEN:
            yield f"{name}: {path}.{key} {FORBIDDEN[key]}"
        if key == "tls_params" and not {"tls_minimum_protocol_version", "tls_maximum_protocol_version"} <= value.keys():
            yield f"{name}: {path}.tls_params needs both bounds, or every handshake fails"
    idempotent = {
        method.path for service in contracts.protos.services for method in service.methods if method.idempotent
    }
    for listener, manager in managers(bootstrap):
        seen: set[str] = set()
        for route in routes(manager):
            yield from _route(name, listener, route, idempotent)
            if listener == "edge" and route["name"] in seen:
                yield f"{name}: two routes are called {route['name']}"
            seen.add(route["name"])
        if listener == "edge":
            for missing in {operation.id for operation in operations(contracts, "delivery")} - seen:
                yield f"{name}: the operation {missing} has no route"


def _route(name: str, listener: str, route: Config, idempotent: set[str]) -> Iterator[str]:
    doors = route.get("typed_per_filter_config", {})
    if listener.removesuffix("_tls") in GUARDED and route["name"] != DEFAULT_CLOSED and not {JWT, RBAC} <= doors.keys():
        yield f"{name}: the route {route['name']} does not say who may pass"
    policy = route.get("route", {}).get("retry_policy")
    if policy and listener == "egress" and route["match"]["path"] not in idempotent:
        yield f"{name}: {route['name']} is tried again, but not idempotent"
    if policy and listener.startswith("edge") and "GET" not in str(route["match"]):
        yield f"{name}: {route['name']} is tried again, but changes things"


def check(contracts: Contracts, name: str, bootstrap: Config) -> None:
    """Raises ContractError with every mistake."""
    if found := sorted(set(mistakes(contracts, name, bootstrap))):
        raise ContractError("\n  ".join(["the Envoy configuration would be wrong:", *found]))
