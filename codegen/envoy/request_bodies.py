"""Request bodies at the edge: maximum sizes, and buffering, so that unfinished ones occupy no connection to the app."""

from collections.abc import Iterable

from codegen.envoy.common import Config, build_extension, build_typed_config
from codegen.rest.operations import Operation

MAX_JSON_BODY_BYTES = 64 * 1024
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
