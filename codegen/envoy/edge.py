"""Public edge listeners with one route per operation of the contract; all other paths return 404."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from codegen.contracts import Contracts
from codegen.envoy import authorization, overload, rate_limits, request_bodies
from codegen.envoy.bearer_scheme import build_bearer_scheme_filters
from codegen.envoy.common import (
    Config,
    Profile,
    build_extension,
    build_http_connection_manager,
    build_listener,
    build_secret_reference,
    build_span_description,
    build_tcp_address,
    build_tracing_config,
    build_typed_config,
    strip_headers,
)
from codegen.envoy.compression import build_compression_filters, enable_compression, is_compressible
from codegen.envoy.host_validation import build_invalid_host_route
from codegen.envoy.local_replies import build_local_replies
from codegen.envoy.response_headers import (
    CORS_ALLOWED_ORIGINS,
    CORS_EXPOSED_HEADERS,
    build_restrictions_filter,
    build_trace_filter,
    build_trace_response_headers,
    set_header,
)
from codegen.envoy.route_selection import ANY_SEGMENT, build_route_matcher
from codegen.errors import map_all
from codegen.mesh import APPS_KEY
from codegen.openapi.servers import get_base_path
from codegen.rest.deprecation import parse_deprecation
from codegen.rest.operations import Operation, iter_operations
from codegen.rest.rate_limits import RateLimit, list_rate_limits

DEFAULT_TIMEOUT = "15s"
EVENT_STREAM_MEDIA_TYPE = "text/event-stream"
TIMEOUT_HEADER = "x-envoy-expected-rq-timeout-ms"
"""Request header with the timeout in milliseconds. Envoy itself omits it, because it suppresses its headers."""

STREAM_IDLE_TIMEOUT = "60s"
"""Longer than the interval of the heartbeats, which is 15 seconds."""
PUBLIC_PATHS = ("/", "/openapi.json", "/openapi.yaml", "/asyncapi.yaml", "/docs", "/apps.json")
PUBLIC_PATH_PREFIXES = ("/problems/", "/docs/", "/openapi/")
DOCUMENT_LIMITS = (RateLimit("address", 300, 60),)
"""Limits of each document, since the compression of the largest ones takes tens of milliseconds."""

HTTP1_OPTIONS: Config = {
    "accept_http_10": True,
    "default_host_for_http_10": "localhost",
    # A server may ignore the header (RFC 9110, 7.8); the edge offers no other protocol.
    "ignore_http_11_upgrade": [{"safe_regex": {"regex": ".*"}}],
}
"""Options for HTTP/1: load balancers use HTTP/1.0 for health checks, often without a Host header."""
CORS_ALLOWED_HEADERS = "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id"


def build_path_matcher(path: str) -> Config:
    """Match a literal path, or a template whose parameters are one path segment each."""
    if "{" not in path:
        return {"path": path}
    parts = re.split(r"\{[^}]+\}", path)
    return {"safe_regex": {"regex": ANY_SEGMENT.join(re.escape(part).replace("\\-", "-") for part in parts)}}


def build_method_matcher(methods: Iterable[str]) -> Config:
    """Match the HTTP methods of a route."""
    regex = "|".join(sorted(methods))
    return {"name": ":method", "string_match": {"safe_regex": {"regex": regex}}}


def build_operation_route(base_path: str, operation: Operation, limits: Iterable[RateLimit] = ()) -> Config:
    """Return the route of an operation: authorization, rate and body limits, timeout, retries, deprecation headers."""
    methods = {operation.method, "HEAD"} if operation.method == "GET" else {operation.method}
    action: Config = {
        "cluster": overload.get_cluster(operation),
        "timeout": operation.raw.get("x-timeout", DEFAULT_TIMEOUT),
    }
    is_stream = EVENT_STREAM_MEDIA_TYPE in operation.content
    if is_stream:
        action |= {"timeout": "0s", "idle_timeout": STREAM_IDLE_TIMEOUT, "priority": "HIGH"}
    if operation.method == "GET":
        action["retry_policy"] = {"retry_on": "connect-failure,refused-stream,reset", "num_retries": 2}
    authorization_config = (
        authorization.allow_public()
        if operation.scheme != "bearer"
        else authorization.accept_token()
        if operation.is_token_optional
        else authorization.require_token(operation.roles)
    )
    route: Config = {
        "name": operation.id,
        "match": build_path_matcher(base_path + operation.path) | {"headers": [build_method_matcher(methods)]},
        "route": action,
        **build_span_description(operation.id, base_path + operation.path),
        "typed_per_filter_config": authorization_config
        | rate_limits.build_route_limits(limits)
        | request_bodies.configure_route(operation)
        | overload.configure_concurrency(operation)
        | (enable_compression() if is_compressible(operation) else {}),
    }
    if not is_stream:
        timeout_ms = 1000 * int(action["timeout"].removesuffix("s"))
        route["request_headers_to_add"] = [set_header(TIMEOUT_HEADER, str(timeout_ms))]
    if deprecation := parse_deprecation(operation.raw):
        headers = [set_header(name.lower(), value) for name, value in deprecation.headers.items()]
        route["response_headers_to_add"] = headers
    return route


def build_method_not_allowed_route(path: str, methods: set[str]) -> Config:
    """Return the 405 route of a path in the contract."""
    return build_direct_405_route(path, build_path_matcher(path), methods | ({"HEAD"} if "GET" in methods else set()))


def build_direct_405_route(name: str, match: Config, methods: set[str]) -> Config:
    """Return a route that answers with 405 and the allowed methods."""
    allowed = ", ".join(sorted(methods))
    return {
        "name": f"not allowed: {name}",
        "match": match,
        "direct_response": {"status": 405},
        "response_headers_to_add": [set_header("allow", allowed)],
        "typed_per_filter_config": authorization.allow_public(),
    }


def build_edge_routes(contracts: Contracts) -> list[Config]:
    """Return all routes, literal paths before templates so that `/users/me` does not match `/users/{user_id}`."""
    base = get_base_path(contracts.openapi[contracts.name])
    # The route of GET matches HEAD too, so that of an operation of HEAD precedes it.
    sorted_operations = sorted(
        iter_operations(contracts, contracts.name), key=lambda each: ("{" in each.path, each.method != "HEAD")
    )
    by_path: defaultdict[str, set[str]] = defaultdict(set)
    for operation in sorted_operations:
        by_path[base + operation.path].add(operation.method)
    preflight = {
        "name": "preflight",
        "match": {
            "prefix": "/",
            "headers": [
                build_method_matcher(["OPTIONS"]),
                {"name": "origin", "string_match": {"safe_regex": {"regex": CORS_ALLOWED_ORIGINS}}},
                {"name": "access-control-request-method", "string_match": {"safe_regex": {"regex": ".+"}}},
            ],
        },
        # The CORS filter answers all requests of this route, but does not process those of a direct response.
        "route": {"cluster": "app"},
        "typed_per_filter_config": authorization.allow_public(),
    }
    not_found = {
        "name": "not found",
        "match": {"prefix": "/"},
        "direct_response": {"status": 404},
        "typed_per_filter_config": authorization.allow_public(),
    }
    literal = {path: methods for path, methods in by_path.items() if "{" not in path}
    templates = {path: methods for path, methods in by_path.items() if "{" in path}
    limits = map_all(lambda operation: list_rate_limits(contracts, contracts.name, operation), sorted_operations)
    routes = [
        (operation.path, build_operation_route(base, operation, operation_limits))
        for operation, operation_limits in zip(sorted_operations, limits, strict=True)
    ]
    return [
        build_invalid_host_route(),
        preflight,
        *(route for path, route in routes if "{" not in path),
        *(build_method_not_allowed_route(path, methods) for path, methods in literal.items()),
        *(route for path, route in routes if "{" in path),
        *(build_method_not_allowed_route(path, methods) for path, methods in templates.items()),
        *build_static_document_routes(contracts.mesh.get(APPS_KEY, ())),
        not_found,
    ]


def list_path_prefixes(contracts: Contracts) -> set[str]:
    """Return the first segment of each path of the API, after the base path; a parameter there has none."""
    base = get_base_path(contracts.openapi[contracts.name])
    segments = {operation.path.split("/")[1] for operation in iter_operations(contracts, contracts.name)}
    return {f"{base}/{segment}" for segment in segments if segment and "{" not in segment}


def build_static_document_routes(app_names: Collection[str]) -> list[Config]:
    """Return the routes of the public documents outside the API, and of the web apps."""
    apps = {f"/{name}": {"path_separated_prefix": f"/{name}"} for name in app_names}
    prefixes = {path: {"prefix": path} for path in (*PUBLIC_PATH_PREFIXES, *(f"{app}/assets/" for app in apps))}
    matches = {path: {"path": path} for path in PUBLIC_PATHS} | prefixes | apps
    methods = {"GET", "HEAD"}
    document_routes = [
        {
            "name": f"document: {path}",
            "match": match | {"headers": [build_method_matcher(methods)]},
            "route": {"cluster": "app", "timeout": DEFAULT_TIMEOUT}
            | (build_path_rewrite(path) if path in apps else {}),
            "typed_per_filter_config": authorization.allow_public()
            | enable_compression()
            | rate_limits.build_route_limits(DOCUMENT_LIMITS),
        }
        for path, match in matches.items()
    ]
    not_allowed = (build_direct_405_route(path, match, methods) for path, match in matches.items())
    return [*document_routes, *not_allowed]


def build_path_rewrite(path: str) -> Config:
    """Return the replacement of the path of a request: every path of an app is a view of its one page."""
    return {"regex_rewrite": {"pattern": {"regex": "^.*"}, "substitution": path}}


def build_cors_policy(operations: Iterable[Operation]) -> Config:
    """Return the CORS policy for the allowed origins. Header parameters of the operations are allowed."""
    parameters = (parameter for operation in operations for parameter in operation.parameters)
    names = {parameter["name"].lower() for parameter in parameters if parameter["in"] == "header"}
    additional = sorted(names - set(CORS_ALLOWED_HEADERS.split(", ")))
    return build_typed_config(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[{"safe_regex": {"regex": CORS_ALLOWED_ORIGINS}}],
        allow_methods="GET, HEAD, POST, PUT, PATCH, DELETE",
        allow_headers=", ".join([CORS_ALLOWED_HEADERS, *additional]),
        expose_headers=CORS_EXPOSED_HEADERS,
        max_age="600",
    )


def build_edge_filters(contracts: Contracts, profile: Profile, *, is_tls: bool) -> list[Config]:
    """Return the HTTP filters in order: response headers, concurrency, token, role, rate limits, body limit.

    The limit of concurrent reads precedes all others, so that rejections are cheap. The limit per client address
    precedes the token, so that requests with invalid tokens count.
    """
    return [
        build_trace_filter(),
        build_restrictions_filter(is_tls=is_tls),
        build_extension("cors", "extensions.filters.http.cors.v3.Cors"),
        *build_compression_filters(),
        overload.build_concurrency_filter(),
        rate_limits.build_policy_filter(),
        *rate_limits.build_filters("address"),
        *build_bearer_scheme_filters(),
        authorization.build_jwt_filter(profile),
        authorization.build_rbac_filter(),
        *rate_limits.build_filters("subject"),
        *rate_limits.build_filters("global"),
        *request_bodies.build_filters(iter_operations(contracts, contracts.name)),
    ]


def build_listeners(contracts: Contracts, profile: Profile) -> list[Config]:
    """Return the plain-text listener and the TLS listener; both have the same routes."""
    context = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificate_sds_secret_configs": [build_secret_reference("edge")],
    }
    message_name = "extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    tls = {"name": "tls", "typed_config": build_typed_config(message_name, common_tls_context=context)}
    return [
        build_listener(
            name,
            build_tcp_address("${BIND}", port),
            build_edge_manager(contracts, profile, is_tls=transport_socket is not None),
            transport_socket,
            traffic_direction="INBOUND",
            per_connection_buffer_limit_bytes=request_bodies.CONNECTION_BUFFER_BYTES,
        )
        for name, port, transport_socket in (("edge", "${EDGE_PORT}", None), ("edge_tls", "${EDGE_TLS_PORT}", tls))
    ]


def build_edge_manager(contracts: Contracts, profile: Profile, *, is_tls: bool) -> Config:
    """Return the HTTP connection manager of a listener."""
    catalogue: dict[str, Any] = contracts.openapi[contracts.name]["x-problems"]
    host = {
        "name": "api",
        "domains": ["*"],
        "typed_per_filter_config": {"cors": build_cors_policy(iter_operations(contracts, contracts.name))},
        "matcher": build_route_matcher(build_edge_routes(contracts), list_path_prefixes(contracts)),
    }
    return build_http_connection_manager(
        "edge",
        build_edge_filters(contracts, profile, is_tls=is_tls),
        {"virtual_hosts": [host], "response_headers_to_add": build_trace_response_headers()},
        use_remote_address=True,
        xff_num_trusted_hops="${TRUSTED_HOPS}",
        http_protocol_options=HTTP1_OPTIONS,
        http2_protocol_options=request_bodies.HTTP2_OPTIONS,
        request_timeout="30s",
        always_set_request_id_in_response=True,
        forward_client_cert_details="SANITIZE",
        early_header_mutation_extensions=strip_headers("traceparent", "tracestate"),
        tracing=build_tracing_config("gateway", "${TRACE_PERCENT}"),
        local_reply_config=build_local_replies(catalogue),
    )
