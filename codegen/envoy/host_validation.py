"""Validation of the header Host at the edge.

Envoy joins several Host headers by commas, although RFC 9112 3.2 permits one, and accepts user information before the
host, which is an error according to RFC 9110 4.2.4.
"""

from codegen.envoy import authorization
from codegen.envoy.common import Config

HOST_PATTERN = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]*)(:[0-9]*)?"
"""Pattern of an IPv6 address or a host name, and an optional port. HTTP/1.0 and 1.1 permit an empty host."""


def build_invalid_host_route() -> Config:
    """Return the route that answers requests for invalid hosts with 400."""
    invalid = {"name": ":authority", "string_match": {"safe_regex": {"regex": HOST_PATTERN}}, "invert_match": True}
    return {
        "name": "invalid host",
        "match": {"prefix": "/", "headers": [invalid]},
        "direct_response": {"status": 400},
        "typed_per_filter_config": authorization.allow_public(),
    }
