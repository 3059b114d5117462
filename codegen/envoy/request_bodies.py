"""Request bodies at the edge: maximum sizes, and buffering, so that unfinished ones occupy no connection to the app."""

from collections.abc import Iterable

from codegen.envoy.common import Config, build_app_cluster, build_extension, build_typed_config
from codegen.rest.operations import Operation

MAX_JSON_BODY_BYTES = 64 * 1024
UPLOAD_CLUSTER = "uploads"
MAX_UPLOADS = 32
"""Maximum number of concurrent uploads per gateway."""

BUFFER_FILTER = "buffer"

HTTP2_OPTIONS: Config = {
    "max_concurrent_streams": 100,
    "initial_stream_window_size": 64 * 1024,
    "initial_connection_window_size": 1024 * 1024,
}
"""Bounds what one connection of a client may open and leave unread (Envoy: Configuring Envoy as an edge proxy)."""

CONNECTION_BUFFER_BYTES = 32 * 1024


def get_max_body_bytes(operation: Operation) -> int:
    """Return the body limit of the operation in bytes."""
    limit: int = operation.raw.get("x-max-bytes", MAX_JSON_BODY_BYTES)
    return limit


def is_upload(operation: Operation) -> bool:
    """Return whether bodies are too large to be buffered."""
    return get_max_body_bytes(operation) > MAX_JSON_BODY_BYTES


def get_cluster(operation: Operation) -> str:
    """Return the cluster of the operation. Uploads have connections of their own, which they may occupy."""
    return UPLOAD_CLUSTER if is_upload(operation) else "app"


def build_upload_cluster() -> Config:
    """Return the cluster of uploads: the gateway's app, with few connections and no queue."""
    thresholds = {"max_connections": MAX_UPLOADS, "max_requests": MAX_UPLOADS, "max_pending_requests": MAX_UPLOADS}
    cluster = build_app_cluster("gateway")
    return cluster | {
        "name": UPLOAD_CLUSTER,
        "load_assignment": cluster["load_assignment"] | {"cluster_name": UPLOAD_CLUSTER},
        "circuit_breakers": {"thresholds": [thresholds]},
    }


def format_body_limit_filter_name(limit: int) -> str:
    """Return the name of the filter that enforces a body limit."""
    return f"body_{limit}"


def configure_route(operation: Operation) -> Config:
    """Return the filter configurations of a route: its body limit and, except for uploads, buffering."""
    names = [format_body_limit_filter_name(get_max_body_bytes(operation))]
    if not is_upload(operation):
        names.append(BUFFER_FILTER)
    return {name: build_typed_config("config.route.v3.FilterConfig", config={}) for name in names}


def build_filters(operations: Iterable[Operation]) -> list[Config]:
    """Return the filters, which routes enable: one for each body limit, and the buffer."""
    message_name = "extensions.filters.http.body_size_limit.v3.BodySizeLimit"
    limits = sorted({get_max_body_bytes(operation) for operation in operations})
    filters = [
        *(
            build_extension(format_body_limit_filter_name(limit), message_name, max_request_bytes=limit)
            for limit in limits
        ),
        build_extension(
            BUFFER_FILTER, "extensions.filters.http.buffer.v3.Buffer", max_request_bytes=MAX_JSON_BODY_BYTES
        ),
    ]
    return [each | {"disabled": True} for each in filters]
