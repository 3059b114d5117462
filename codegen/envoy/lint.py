"""Lint of the bootstraps for mistakes that `envoy --mode validate` accepts."""

from collections.abc import Iterator
from typing import Any

from codegen.contracts import ContractError, Contracts
from codegen.envoy.authorization import (
    is_token_optional,
    is_token_required,
    list_allowed_roles,
    list_allowed_spiffe_ids,
)
from codegen.envoy.common import JWT_FILTER, RBAC_FILTER, REDACTED_SPAN_TAGS, Config
from codegen.envoy.rate_limits import list_expected_limits, list_route_limits
from codegen.envoy.request_bodies import BUFFER_FILTER, format_body_limit_filter_name, get_max_body_bytes, is_upload
from codegen.envoy.retries import UNSENT_CONDITIONS
from codegen.envoy.route_selection import list_routes
from codegen.envoy.sidecar import list_service_methods
from codegen.protobuf import Method
from codegen.rest.operations import Operation, iter_operations
from codegen.rest.rate_limits import list_rate_limits

AUTHORIZED_LISTENERS = ("edge", "ingress", "ops")
"""Listeners whose routes must all configure authorization."""
DEFAULT_DENY_ROUTE = "default_deny"
"""The only route without an authorization configuration; the filters deny by default."""
FORBIDDEN_KEYS = {
    "jwt_cache_config": "accepts tokens after the removal of their key",
    "from_params": "accepts tokens in the query string, which appears in logs",
    "internal_address_config": "trusts internal headers from clients on the same machine",
}


def iter_keys(node: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield path, key and value of all nested keys."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield path, key, value
            yield from iter_keys(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from iter_keys(value, f"{path}[{index}]")


def iter_http_connection_managers(bootstrap: Config) -> Iterator[tuple[str, Config]]:
    """Yield listener name and HTTP connection manager."""
    for listener in bootstrap["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            for network_filter in chain["filters"]:
                yield listener["name"], network_filter["typed_config"]


def iter_routes(manager: Config) -> Iterator[Config]:
    """Yield all routes of a connection manager."""
    for host in manager["route_config"]["virtual_hosts"]:
        yield from list_routes(host)


def find_violations(contracts: Contracts, name: str, bootstrap: Config) -> Iterator[str]:
    """Yield a description of each violation."""
    for path, key, value in iter_keys(bootstrap):
        if key in FORBIDDEN_KEYS:
            yield f"{path}.{key} {FORBIDDEN_KEYS[key]}"
        if key == "common_tls_context" and "tls_certificate_sds_secret_configs" in value:
            yield from _check_tls(path, value)
    for listener in bootstrap["static_resources"]["listeners"]:
        tls = listener["filter_chains"][0].get("transport_socket", {}).get("typed_config", {})
        if listener["name"] == "ingress" and tls.get("require_client_certificate") is not True:
            yield "ingress does not require a client certificate"
    is_external_caller = [each["name"] for each in bootstrap["static_resources"]["listeners"]] == ["egress"]
    for listener, manager in iter_http_connection_managers(bootstrap):
        kind = listener.removesuffix("_tls")
        if kind in AUTHORIZED_LISTENERS:
            yield from _check_filters(listener, manager)
        for route in iter_routes(manager):
            yield from _check_route(kind, route)
        if "tracing" in manager:
            yield from _check_tracing(kind, manager["tracing"], is_trace_root=kind == "edge" or is_external_caller)
        if kind == "edge":
            yield from _check_operations(contracts, listener, manager)
        if kind == "ingress":
            yield from _check_methods(contracts, name.rpartition("/")[2], manager)
        if kind == "egress":
            yield from _check_retries(contracts, manager)


def _check_tls(path: str, context: Config) -> Iterator[str]:
    if not {"tls_minimum_protocol_version", "tls_maximum_protocol_version"} <= context.get("tls_params", {}).keys():
        yield f"{path}.common_tls_context.tls_params lacks a version bound; every handshake would fail"


def _check_filters(listener: str, manager: Config) -> Iterator[str]:
    for missing in {JWT_FILTER, RBAC_FILTER} - {each["name"] for each in manager["http_filters"]}:
        yield f"{listener} lacks the filter {missing}"
    if "early_header_mutation_extensions" not in manager:
        yield f"{listener} lacks early_header_mutation_extensions: clients can set internal headers"
    if manager["tracing"].get("client_sampling") != {"value": 0}:
        yield f"{listener} has client_sampling: clients could control the sampling of traces"


def _check_tracing(listener: str, tracing: Config, *, is_trace_root: bool) -> Iterator[str]:
    for tag in set(REDACTED_SPAN_TAGS) - {each["tag"] for each in tracing.get("custom_tags", [])}:
        yield f"{listener}: the span tag {tag} may contain personal data and is not redacted"
    percent = "${TRACE_PERCENT}" if is_trace_root else "100"
    if tracing["random_sampling"] != {"value": percent}:
        yield f"{listener}: random_sampling is not {percent}; only the edge decides on sampling"


def _check_route(listener: str, route: Config) -> Iterator[str]:
    filter_configs = route.get("typed_per_filter_config", {})
    if (
        listener in AUTHORIZED_LISTENERS
        and route["name"] != DEFAULT_DENY_ROUTE
        and not {JWT_FILTER, RBAC_FILTER} <= filter_configs.keys()
    ):
        yield f"{listener}: the route {route['name']} has no authorization configuration"
    if route.get("route", {}).get("retry_policy") and listener == "edge" and "GET" not in str(route["match"]):
        yield f"edge: {route['name']} is retried but is not a GET"


def _check_operations(contracts: Contracts, listener: str, manager: Config) -> Iterator[str]:
    for operation in iter_operations(contracts, contracts.name):
        matching = [route for route in iter_routes(manager) if route["name"] == operation.id]
        if len(matching) != 1:
            yield f"{listener}: the operation {operation.id} has {len(matching)} routes"
        for route in matching:
            yield from _check_operation(listener, operation, route)
            expected = list_expected_limits(list_rate_limits(contracts, contracts.name, operation))
            if list_route_limits(route.get("typed_per_filter_config", {})) != expected:
                yield f"{listener}: the rate limits of {operation.id} differ from the contract"


def _check_operation(listener: str, operation: Operation, route: Config) -> Iterator[str]:
    filter_configs = route.get("typed_per_filter_config", {})
    if format_body_limit_filter_name(get_max_body_bytes(operation)) not in filter_configs:
        yield f"{listener}: the body limit of {operation.id} differs from the contract"
    if (BUFFER_FILTER in filter_configs) == is_upload(operation):
        yield f"{listener}: {operation.id} is not an upload and not buffered, or an upload and buffered"
    if not {JWT_FILTER, RBAC_FILTER} <= filter_configs.keys():
        return  # reported by _check_route
    if is_token_required(filter_configs) != (operation.scheme == "bearer" and not operation.is_token_optional):
        yield f"{listener}: the token requirement of {operation.id} differs from the contract"
    if is_token_optional(filter_configs) != operation.is_token_optional:
        yield f"{listener}: the optional token of {operation.id} differs from the contract"
    if list_allowed_roles(filter_configs) != set(operation.roles):
        yield f"{listener}: the roles of {operation.id} differ from the contract"


def _check_methods(contracts: Contracts, service: str, manager: Config) -> Iterator[str]:
    by_path = {route["match"]["path"]: route for route in iter_routes(manager) if "path" in route["match"]}
    for method in list_service_methods(contracts, service):
        if method.path not in by_path:
            yield f"ingress: the method {method.path} has no route"
        else:
            yield from _check_method(method, by_path[method.path])


def _check_method(method: Method, route: Config) -> Iterator[str]:
    filter_configs = route.get("typed_per_filter_config", {})
    if not {JWT_FILTER, RBAC_FILTER} <= filter_configs.keys():
        return  # reported by _check_route
    if is_token_required(filter_configs) != method.actor_required:
        yield f"ingress: the token requirement of {method.path} differs from the contract"
    if {each.rpartition("/")[2] for each in list_allowed_spiffe_ids(filter_configs)} - {"ops"} != set(method.callers):
        yield f"ingress: the callers of {method.path} differ from the contract"


def _check_retries(contracts: Contracts, manager: Config) -> Iterator[str]:
    idempotent = {
        method.path for service in contracts.protos.services for method in service.methods if method.is_idempotent
    }
    for route in iter_routes(manager):
        conditions = route.get("route", {}).get("retry_policy", {}).get("retry_on", "")
        if route["match"].get("path") not in idempotent and {*filter(None, conditions.split(","))} - UNSENT_CONDITIONS:
            yield f"egress: {route['name']} is retried after it was sent, but is not idempotent"


def check(contracts: Contracts, name: str, bootstrap: Config) -> None:
    """Raise ContractError with all violations."""
    if violations := sorted(set(find_violations(contracts, name, bootstrap))):
        raise ContractError("\n  ".join([f"invalid Envoy configuration {name}:", *violations]))
