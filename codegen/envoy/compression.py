"""Compression of responses with Brotli and gzip, enabled per route.

Compression is limited to public documents and to reads. BREACH needs a response that contains a secret next to text of
the attacker, and a browser that sends credentials with requests of other sites. The API has neither: tokens and secrets
are only in responses to other methods than GET, and clients send the token in a header that browsers do not add.
"""

from codegen.envoy.common import Config, build_extension, build_typed_config
from codegen.rest.operations import Operation

MIN_BYTES = 1024
"""Smaller responses fit into one packet without compression."""
MEDIA_TYPES = (
    "application/json",
    "application/problem+json",
    "application/yaml",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
)
"""Media types of text. Pictures are compressed already, and events of a stream must not wait in a buffer."""
PREFERRED = "brotli"
"""The encoding for clients that accept both equally."""

_COMPRESSION = "extensions.compression"
_LIBRARIES: dict[str, Config] = {
    "brotli": build_extension("brotli", f"{_COMPRESSION}.brotli.compressor.v3.Brotli", quality=4),
    "gzip": build_extension("gzip", f"{_COMPRESSION}.gzip.compressor.v3.Gzip"),
}


def build_compression_filters() -> list[Config]:
    """Return the filters, which are disabled by default."""
    common = {"content_type": list(MEDIA_TYPES), "min_content_length": MIN_BYTES}
    direction = {"common_config": common, "weaken_etag_on_compress": True}
    message_name = "extensions.filters.http.compressor.v3.Compressor"
    return [
        build_extension(
            name,
            message_name,
            response_direction_config=direction,
            compressor_library=library,
            choose_first=name == PREFERRED,
        )
        | {"disabled": True}
        for name, library in _LIBRARIES.items()
    ]


def enable_compression() -> Config:
    """Enable the filters for a route."""
    return {name: build_typed_config("config.route.v3.FilterConfig", config={}) for name in _LIBRARIES}


def is_compressible(operation: Operation) -> bool:
    """Return whether the responses of an operation are compressed.

    A compressed response has only a weak ETag, and If-Match requires a strong one (RFC 9110, 13.1.1), so operations
    with an ETag are excluded.
    """
    has_etag = any("ETag" in response.get("headers", {}) for response in operation.raw["responses"].values())
    return operation.method == "GET" and not has_etag and not set(MEDIA_TYPES).isdisjoint(operation.content)
