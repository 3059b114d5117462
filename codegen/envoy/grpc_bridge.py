"""Translation of unary RPCs between gRPC and HTTP/1.1, which an app and its own sidecar use.

HTTP/1.1 costs an app less CPU time than gRPC. Between sidecars all calls are gRPC, and so are streams everywhere.
"""

from codegen.envoy.common import (
    Config,
    build_app_http1_options,
    build_circuit_breakers,
    build_cluster,
    build_extension,
    build_typed_config,
    build_unix_address,
)
from codegen.protobuf import Method

UNARY_CLUSTER = "app_http1"
BRIDGE_FILTER = "grpc_http1_reverse_bridge"
MAX_CALLS = 1024
"""Concurrent unary calls of an app. HTTP/1.1 has a connection per call, and a call is pending until it is open."""


def build_egress_options() -> Config:
    """Return the options of the connection manager for calls over HTTP/1.1 and gRPC on the same socket.

    The status of a call is in the trailers, which HTTP/1.1 permits only without a content length.
    """
    return {"codec_type": "AUTO", "http_protocol_options": {"enable_trailers": True}}


def remove_content_length() -> Config:
    """Return the part of a route configuration that makes HTTP/1.1 responses chunked, so that they have trailers."""
    return {"response_headers_to_remove": ["content-length"]}


def build_unary_cluster(service: str) -> Config:
    """Return the cluster of the unary methods of the service's app, on a socket of their own."""
    return build_cluster(
        UNARY_CLUSTER,
        build_unix_address(f"{service}-http1"),
        **build_circuit_breakers({"max_connections": MAX_CALLS, "max_pending_requests": MAX_CALLS}),
        **build_app_http1_options(),
    )


def build_bridge_filter() -> Config:
    """Return the filter that adds the trailer for the status OK; routes of unary methods enable it.

    It clears the route cache, so it precedes authentication.
    """
    message_name = "extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig"
    return build_extension(BRIDGE_FILTER, message_name, content_type="application/grpc") | {"disabled": True}


def get_app_cluster(method: Method) -> str:
    """Return the cluster of the app that serves a method."""
    return "app" if method.is_streaming else UNARY_CLUSTER


BRIDGE_ENABLED: Config = {BRIDGE_FILTER: build_typed_config("config.route.v3.FilterConfig", config={})}
"""Configuration of a route that enables the filter."""


def enable_bridge(method: Method) -> Config:
    """Return the configuration of a method's route that enables the filter for a unary method."""
    return {} if method.is_streaming else BRIDGE_ENABLED
