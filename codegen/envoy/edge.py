"""The public door: a route for every operation of the contract, and nothing beside."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from codegen.contracts import Contracts
from codegen.envoy import access
from codegen.envoy.common import (
    Config,
    Profile,
    address,
    certificate,
    extension,
    http_manager,
    listener,
    strip_headers,
    tracing,
    typed,
)
from codegen.envoy.replies import local_replies, set_header, trace_filter, trace_headers
from codegen.operations import Operation, operations

JSON_LIMIT = 64 * 1024
TIMEOUT = "15s"
STREAM = "text/event-stream"
STREAM_IDLE = "60s"
"""Streams live as long as something comes; heartbeats do, every 15 seconds."""
PUBLIC = ("/openapi.json", "/openapi.yaml", "/asyncapi.yaml", "/docs")
PUBLIC_PREFIXES = ("/problems/", "/docs/")
EXPOSED = "ETag, Location, Retry-After, Idempotency-Replayed, traceresponse, x-request-id"
ASKED = "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id"


def path_match(path: str) -> Config:
    """A literal path, or a template whose parameters are one segment each."""
    if "{" not in path:
        return {"path": path}
    parts = re.split(r"\{[^}]+\}", path)
    return {"safe_regex": {"regex": "[^/]+".join(re.escape(part).replace("\\-", "-") for part in parts)}}


def method_match(methods: Iterable[str]) -> Config:
    """The methods of a route."""
    regex = "|".join(sorted(methods))
    return {"name": ":method", "string_match": {"safe_regex": {"regex": regex}}}


def body_limit(operation: Operation) -> int:
    """Bytes that the operation takes."""
    limit: int = operation.raw.get("x-max-bytes", JSON_LIMIT)
    return limit


def limit_name(limit: int) -> str:
    """The name of the filter that enforces a limit."""
    return f"body_{limit}"


def limited(limit: int) -> Config:
    """Switches one limit on for a route."""
    return {limit_name(limit): typed("config.route.v3.FilterConfig", config={})}


def operation_route(base: str, operation: Operation) -> Config:
    """One operation: its door, its limit, its time."""
    methods = {operation.method, "HEAD"} if operation.method == "GET" else {operation.method}
    action: Config = {"cluster": "app", "timeout": operation.raw.get("x-timeout", TIMEOUT)}
    if STREAM in operation.content:
        action |= {"timeout": "0s", "idle_timeout": STREAM_IDLE, "priority": "HIGH"}
    if operation.method == "GET":
        action["retry_policy"] = {"retry_on": "connect-failure,refused-stream,reset", "num_retries": 2}
    door = access.token(operation.roles) if operation.scheme == "bearer" else access.public()
    return {
        "name": operation.id,
        "match": path_match(base + operation.path) | {"headers": [method_match(methods)]},
        "route": action,
        "decorator": {"operation": operation.id, "propagate": False},
        "typed_per_filter_config": door | limited(body_limit(operation)),
    }


def other_methods(path: str, methods: set[str]) -> Config:
    """A path of the contract with a method that it does not have."""
    return not_allowed(path, path_match(path), methods | ({"HEAD"} if "GET" in methods else set()))


def not_allowed(name: str, match: Config, methods: set[str]) -> Config:
    """Says which methods there are."""
    allowed = ", ".join(sorted(methods))
    return {
        "name": f"not allowed: {name}",
        "match": match,
        "direct_response": {"status": 405},
        "response_headers_to_add": [set_header("allow", allowed)],
        "typed_per_filter_config": access.public(),
    }


def routes(contracts: Contracts) -> list[Config]:
    """Literal paths before templates, so that `/users/me` is never taken for a user."""
    base = contracts.openapi["delivery"]["servers"][0]["url"]
    found = sorted(operations(contracts, "delivery"), key=lambda operation: "{" in operation.path)
    by_path: defaultdict[str, set[str]] = defaultdict(set)
    for operation in found:
        by_path[base + operation.path].add(operation.method)
    preflight = {
        "name": "preflight",
        "match": {
            "prefix": "/",
            "headers": [
                method_match(["OPTIONS"]),
                {"name": "origin", "present_match": True},
                {"name": "access-control-request-method", "present_match": True},
            ],
        },
        "route": {"cluster": "app"},
        "typed_per_filter_config": access.public(),
    }
    nothing = {
        "name": "not found",
        "match": {"prefix": "/"},
        "direct_response": {"status": 404},
        "typed_per_filter_config": access.public(),
    }
    literal = {path: methods for path, methods in by_path.items() if "{" not in path}
    templates = {path: methods for path, methods in by_path.items() if "{" in path}
    return [
        preflight,
        *(operation_route(base, operation) for operation in found if "{" not in operation.path),
        *(other_methods(path, methods) for path, methods in literal.items()),
        *(operation_route(base, operation) for operation in found if "{" in operation.path),
        *(other_methods(path, methods) for path, methods in templates.items()),
        *documents(),
        nothing,
    ]


def documents() -> list[Config]:
    """What everybody may read, outside the API."""
    matches = {path: {"path": path} for path in PUBLIC} | {path: {"prefix": path} for path in PUBLIC_PREFIXES}
    readers = {"GET", "HEAD"}
    readable = [
        {
            "name": f"document: {path}",
            "match": match | {"headers": [method_match(readers)]},
            "route": {"cluster": "app", "timeout": TIMEOUT},
            "typed_per_filter_config": access.public(),
        }
        for path, match in matches.items()
    ]
    return [*readable, *(not_allowed(path, match, readers) for path, match in matches.items())]


def cors() -> Config:
    """Browsers may call from these origins."""
    return typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[{"safe_regex": {"regex": "${ALLOWED_ORIGINS}"}}],
        allow_methods="GET, HEAD, POST, PUT, PATCH, DELETE",
        allow_headers=ASKED,
        expose_headers=EXPOSED,
        max_age="600",
    )


def filters(contracts: Contracts, profile: Profile) -> list[Config]:
    """In the order of the contract: token, role, size."""
    limits = sorted({body_limit(operation) for operation in operations(contracts, "delivery")})
    kind = "extensions.filters.http.body_size_limit.v3.BodySizeLimit"
    return [
        trace_filter(),
        extension("cors", "extensions.filters.http.cors.v3.Cors"),
        access.jwt_filter(profile),
        access.rbac_filter(),
        *(extension(limit_name(limit), kind, max_request_bytes=limit) | {"disabled": True} for limit in limits),
    ]


def listeners(contracts: Contracts, profile: Profile) -> list[Config]:
    """Plain for development, TLS with HTTP/2 beside it; both have the same routes."""
    catalogue: dict[str, Any] = contracts.openapi["delivery"]["x-problems"]
    host = {
        "name": "api",
        "domains": ["*"],
        "typed_per_filter_config": {"cors": cors()},
        "routes": routes(contracts),
    }
    manager = http_manager(
        "edge",
        filters(contracts, profile),
        {"virtual_hosts": [host], "response_headers_to_add": trace_headers()},
        use_remote_address=True,
        request_timeout="30s",
        always_set_request_id_in_response=True,
        forward_client_cert_details="SANITIZE",
        early_header_mutation_extensions=strip_headers("traceparent", "tracestate"),
        tracing=tracing("gateway", "${TRACE_PERCENT}"),
        local_reply_config=local_replies(catalogue),
    )
    context = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [certificate("edge", "${EDGE_PKI_DIR}")],
    }
    kind = "extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    tls = {"name": "tls", "typed_config": typed(kind, common_tls_context=context)}
    return [
        listener("edge", address("${BIND}", "${EDGE_PORT}"), manager, traffic_direction="INBOUND"),
        listener("edge_tls", address("${BIND}", "${EDGE_TLS_PORT}"), manager, tls, traffic_direction="INBOUND"),
    ]
