"""What `envoy --mode validate` accepts and we do not."""

from collections.abc import Iterator
from typing import Any

from codegen.contracts import ContractError, Contracts
from codegen.envoy.access import caller_ids, roles_of, wants_token
from codegen.envoy.common import JWT, RBAC, UNSAID, Config
from codegen.envoy.edge import body_limit, limit_name
from codegen.envoy.sidecar import methods_of
from codegen.operations import Operation, operations
from codegen.protobuf import Method

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
            yield f"{path}.{key} {FORBIDDEN[key]}"
        if key == "common_tls_context" and "tls_certificates" in value:
            yield from _tls(path, value)
    for listener in bootstrap["static_resources"]["listeners"]:
        tls = listener["filter_chains"][0].get("transport_socket", {}).get("typed_config", {})
        if listener["name"] == "ingress" and tls.get("require_client_certificate") is not True:
            yield "ingress lets in who shows no certificate"
    guest = [each["name"] for each in bootstrap["static_resources"]["listeners"]] == ["egress"]
    for listener, manager in managers(bootstrap):
        door = listener.removesuffix("_tls")
        if door in GUARDED:
            yield from _filters(listener, manager)
        for route in routes(manager):
            yield from _route(door, route)
        if "tracing" in manager:
            yield from _tracing(door, manager["tracing"], first=door == "edge" or guest)
        if door == "edge":
            yield from _operations(contracts, listener, manager)
        if door == "ingress":
            yield from _methods(contracts, name.rpartition("/")[2], manager)
        if door == "egress":
            yield from _retries(contracts, manager)


def _tls(path: str, context: Config) -> Iterator[str]:
    if not {"tls_minimum_protocol_version", "tls_maximum_protocol_version"} <= context.get("tls_params", {}).keys():
        yield f"{path}.common_tls_context.tls_params needs both bounds, or every handshake fails"


def _filters(listener: str, manager: Config) -> Iterator[str]:
    for missing in {JWT, RBAC} - {each["name"] for each in manager["http_filters"]}:
        yield f"{listener} has no filter {missing}, whatever its routes say"
    if "early_header_mutation_extensions" not in manager:
        yield f"{listener} has no early_header_mutation_extensions: it believes what clients say of themselves"
    if manager["tracing"].get("client_sampling") != {"value": 0}:
        yield f"{listener} has a client_sampling, by which clients decide what is traced"


def _tracing(door: str, tracing: Config, *, first: bool) -> Iterator[str]:
    for personal in set(UNSAID) - {each["tag"] for each in tracing.get("custom_tags", [])}:
        yield f"{door}: its spans say {personal}, which may be a person's"
    share = "${TRACE_PERCENT}" if first else "100"
    if tracing["random_sampling"] != {"value": share}:
        yield f"{door}: its random_sampling is not {share}; the edge decides, and everybody else follows"


def _route(door: str, route: Config) -> Iterator[str]:
    doors = route.get("typed_per_filter_config", {})
    if door in GUARDED and route["name"] != DEFAULT_CLOSED and not {JWT, RBAC} <= doors.keys():
        yield f"{door}: the route {route['name']} does not say who may pass"
    if route.get("route", {}).get("retry_policy") and door == "edge" and "GET" not in str(route["match"]):
        yield f"edge: {route['name']} is tried again, but changes things"


def _operations(contracts: Contracts, listener: str, manager: Config) -> Iterator[str]:
    for operation in operations(contracts, "delivery"):
        found = [route for route in routes(manager) if route["name"] == operation.id]
        if len(found) != 1:
            yield f"{listener}: the operation {operation.id} has {len(found)} routes"
        for route in found:
            yield from _operation(listener, operation, route)


def _operation(listener: str, operation: Operation, route: Config) -> Iterator[str]:
    doors = route.get("typed_per_filter_config", {})
    if limit_name(body_limit(operation)) not in doors:
        yield f"{listener}: {operation.id} has another body limit than the contract"
    if not {JWT, RBAC} <= doors.keys():
        return  # said already
    if wants_token(doors) != (operation.scheme == "bearer"):
        yield f"{listener}: {operation.id} and the contract differ on whether a token is needed"
    if roles_of(doors) != set(operation.roles):
        yield f"{listener}: {operation.id} is open to other roles than the contract names"


def _methods(contracts: Contracts, service: str, manager: Config) -> Iterator[str]:
    by_path = {route["match"]["path"]: route for route in routes(manager) if "path" in route["match"]}
    for method in methods_of(contracts, service):
        if method.path not in by_path:
            yield f"ingress: the method {method.path} has no route"
        else:
            yield from _method(method, by_path[method.path])


def _method(method: Method, route: Config) -> Iterator[str]:
    doors = route.get("typed_per_filter_config", {})
    if not {JWT, RBAC} <= doors.keys():
        return  # said already
    if wants_token(doors) != method.actor_required:
        yield f"ingress: {method.path} and the contract differ on whether a token is needed"
    if {each.rpartition("/")[2] for each in caller_ids(doors)} - {"ops"} != set(method.callers):
        yield f"ingress: {method.path} is open to other callers than the contract names"


def _retries(contracts: Contracts, manager: Config) -> Iterator[str]:
    idempotent = {
        method.path for service in contracts.protos.services for method in service.methods if method.idempotent
    }
    for route in routes(manager):
        if route.get("route", {}).get("retry_policy") and route["match"]["path"] not in idempotent:
            yield f"egress: {route['name']} is tried again, but not idempotent"


def check(contracts: Contracts, name: str, bootstrap: Config) -> None:
    """Raises ContractError with every mistake."""
    if found := sorted(set(mistakes(contracts, name, bootstrap))):
        raise ContractError("\n  ".join([f"the Envoy configuration {name} would be wrong:", *found]))
