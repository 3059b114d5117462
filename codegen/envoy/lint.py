"""What `envoy --mode validate` accepts and we do not."""

from collections.abc import Iterator
from typing import Any

from codegen.contracts import ContractError, Contracts
from codegen.envoy.authorization import allowed_roles, allowed_spiffe_ids, is_token_required
from codegen.envoy.common import JWT_FILTER, RBAC_FILTER, REDACTED_SPAN_TAGS, Config
from codegen.envoy.edge import body_limit_filter_name, max_body_bytes
from codegen.envoy.sidecar import service_methods
from codegen.protobuf import Method
from codegen.rest.operations import Operation, operations

AUTHORIZED_LISTENERS = ("edge", "ingress", "ops")
"""Listeners of which every route must say who may pass."""
DEFAULT_DENY_ROUTE = "default_deny"
"""The one route that leaves it to the filters' own defaults."""
FORBIDDEN_KEYS = {
    "jwt_cache_config": "keeps accepting tokens whose key has left the set",
    "from_params": "accepts tokens in the query string, which end up in logs",
    "internal_address_config": "lets clients of this machine send internal headers",
}


def iter_keys(node: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every key with where it stands and its value."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield path, key, value
            yield from iter_keys(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from iter_keys(value, f"{path}[{index}]")


def http_connection_managers(bootstrap: Config) -> Iterator[tuple[str, Config]]:
    """The HTTP managers by listener."""
    for listener in bootstrap["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            for found in chain["filters"]:
                yield listener["name"], found["typed_config"]


def routes(manager: Config) -> Iterator[Config]:
    """All routes of a manager."""
    for host in manager["route_config"]["virtual_hosts"]:
        yield from host["routes"]


def find_violations(contracts: Contracts, name: str, bootstrap: Config) -> Iterator[str]:
    """Each in one sentence."""
    for path, key, value in iter_keys(bootstrap):
        if key in FORBIDDEN_KEYS:
            yield f"{path}.{key} {FORBIDDEN_KEYS[key]}"
        if key == "common_tls_context" and "tls_certificates" in value:
            yield from _check_tls(path, value)
    for listener in bootstrap["static_resources"]["listeners"]:
        tls = listener["filter_chains"][0].get("transport_socket", {}).get("typed_config", {})
        if listener["name"] == "ingress" and tls.get("require_client_certificate") is not True:
            yield "ingress lets in who shows no certificate"
    guest = [each["name"] for each in bootstrap["static_resources"]["listeners"]] == ["egress"]
    for listener, manager in http_connection_managers(bootstrap):
        door = listener.removesuffix("_tls")
        if door in AUTHORIZED_LISTENERS:
            yield from _check_filters(listener, manager)
        for route in routes(manager):
            yield from _check_route(door, route)
        if "tracing" in manager:
            yield from _check_tracing(door, manager["tracing"], is_trace_root=door == "edge" or guest)
        if door == "edge":
            yield from _check_operations(contracts, listener, manager)
        if door == "ingress":
            yield from _check_methods(contracts, name.rpartition("/")[2], manager)
        if door == "egress":
            yield from _check_retries(contracts, manager)


def _check_tls(path: str, context: Config) -> Iterator[str]:
    if not {"tls_minimum_protocol_version", "tls_maximum_protocol_version"} <= context.get("tls_params", {}).keys():
        yield f"{path}.common_tls_context.tls_params needs both bounds, or every handshake fails"


def _check_filters(listener: str, manager: Config) -> Iterator[str]:
    for missing in {JWT_FILTER, RBAC_FILTER} - {each["name"] for each in manager["http_filters"]}:
        yield f"{listener} has no filter {missing}, whatever its routes say"
    if "early_header_mutation_extensions" not in manager:
        yield f"{listener} has no early_header_mutation_extensions: it believes what clients say of themselves"
    if manager["tracing"].get("client_sampling") != {"value": 0}:
        yield f"{listener} has a client_sampling, by which clients decide what is traced"


def _check_tracing(listener: str, tracing: Config, *, is_trace_root: bool) -> Iterator[str]:
    for personal in set(REDACTED_SPAN_TAGS) - {each["tag"] for each in tracing.get("custom_tags", [])}:
        yield f"{listener}: its spans say {personal}, which may be a person's"
    share = "${TRACE_PERCENT}" if is_trace_root else "100"
    if tracing["random_sampling"] != {"value": share}:
        yield f"{listener}: its random_sampling is not {share}; the edge decides, and everybody else follows"


def _check_route(listener: str, route: Config) -> Iterator[str]:
    doors = route.get("typed_per_filter_config", {})
    if (
        listener in AUTHORIZED_LISTENERS
        and route["name"] != DEFAULT_DENY_ROUTE
        and not {JWT_FILTER, RBAC_FILTER} <= doors.keys()
    ):
        yield f"{listener}: the route {route['name']} does not say who may pass"
    if route.get("route", {}).get("retry_policy") and listener == "edge" and "GET" not in str(route["match"]):
        yield f"edge: {route['name']} is tried again, but changes things"


def _check_operations(contracts: Contracts, listener: str, manager: Config) -> Iterator[str]:
    for operation in operations(contracts, "delivery"):
        found = [route for route in routes(manager) if route["name"] == operation.id]
        if len(found) != 1:
            yield f"{listener}: the operation {operation.id} has {len(found)} routes"
        for route in found:
            yield from _check_operation(listener, operation, route)


def _check_operation(listener: str, operation: Operation, route: Config) -> Iterator[str]:
    doors = route.get("typed_per_filter_config", {})
    if body_limit_filter_name(max_body_bytes(operation)) not in doors:
        yield f"{listener}: {operation.id} has another body limit than the contract"
    if not {JWT_FILTER, RBAC_FILTER} <= doors.keys():
        return  # said already
    if is_token_required(doors) != (operation.scheme == "bearer"):
        yield f"{listener}: {operation.id} and the contract differ on whether a token is needed"
    if allowed_roles(doors) != set(operation.roles):
        yield f"{listener}: {operation.id} is open to other roles than the contract names"


def _check_methods(contracts: Contracts, service: str, manager: Config) -> Iterator[str]:
    by_path = {route["match"]["path"]: route for route in routes(manager) if "path" in route["match"]}
    for method in service_methods(contracts, service):
        if method.path not in by_path:
            yield f"ingress: the method {method.path} has no route"
        else:
            yield from _check_method(method, by_path[method.path])


def _check_method(method: Method, route: Config) -> Iterator[str]:
    doors = route.get("typed_per_filter_config", {})
    if not {JWT_FILTER, RBAC_FILTER} <= doors.keys():
        return  # said already
    if is_token_required(doors) != method.actor_required:
        yield f"ingress: {method.path} and the contract differ on whether a token is needed"
    if {each.rpartition("/")[2] for each in allowed_spiffe_ids(doors)} - {"ops"} != set(method.callers):
        yield f"ingress: {method.path} is open to other callers than the contract names"


def _check_retries(contracts: Contracts, manager: Config) -> Iterator[str]:
    idempotent = {
        method.path for service in contracts.protos.services for method in service.methods if method.is_idempotent
    }
    for route in routes(manager):
        if route.get("route", {}).get("retry_policy") and route["match"]["path"] not in idempotent:
            yield f"egress: {route['name']} is tried again, but not idempotent"


def check(contracts: Contracts, name: str, bootstrap: Config) -> None:
    """Raises ContractError with every mistake."""
    if found := sorted(set(find_violations(contracts, name, bootstrap))):
        raise ContractError("\n  ".join([f"the Envoy configuration {name} would be wrong:", *found]))
