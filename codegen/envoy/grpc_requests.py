"""Protection of the gRPC apps from malformed and unfinished calls.

Calls of all callers share connections from the sidecar to the app. For each malformed header gRPC blocks for a while
before it answers, and a parse error can leave the dynamic table of HPACK inconsistent, so that later calls fail.
"""

from codegen.envoy import authorization
from codegen.envoy.common import Config, strip_headers

MAX_HEADERS_KB = 16
"""Hard limit of gRPC for the metadata of a call."""

PARSED_HEADERS = {"grpc-timeout": "[0-9]{1,8}[HMSmun]", "grpc-encoding": "identity|gzip|deflate"}
"""Request headers that gRPC parses, with their valid values."""
UNUSED_HEADERS = ("grpc-previous-rpc-attempts", "grpc-retry-pushback-ms", "grpc-status", "lb-token")
"""Other request headers that gRPC parses; no app reads them, and they are removed."""
BINARY_HEADER_SUFFIX = "-bin"
"""Suffix of headers that gRPC decodes as base64; no app reads any in requests, and they are removed."""

HEALTH_CHECK_TIMEOUT = "5s"
REFLECTION_TIMEOUT = "60s"
DENIED_TIMEOUT = "1s"


def build_malformed_header_routes(*, is_authorized: bool = True) -> list[Config]:
    """Return the routes that reject calls with a malformed header: gRPC status INTERNAL. They precede all others.

    `is_authorized` states whether the listener has authorization filters, which these routes skip.
    """
    authorization_config = {"typed_per_filter_config": authorization.allow_public()} if is_authorized else {}
    return [
        {
            "name": f"malformed {name}",
            "match": {
                "prefix": "/",
                "headers": [
                    {"name": name, "present_match": True},
                    {"name": name, "string_match": {"safe_regex": {"regex": pattern}}, "invert_match": True},
                ],
            },
            "direct_response": {"status": 400, "body": {"inline_string": f"{name} is malformed"}},
            **authorization_config,
        }
        for name, pattern in PARSED_HEADERS.items()
    ]


def strip_call_headers() -> list[Config]:
    """Remove internal headers, and headers which gRPC parses and no app reads."""
    return strip_headers(*UNUSED_HEADERS, suffixes=[BINARY_HEADER_SUFFIX])


def limit_duration(duration: str) -> Config:
    """Return the options of a route that end a call after a time, even if its request is never completed.

    A shorter deadline of the caller has precedence.
    """
    limit = {"max_stream_duration": duration, "grpc_timeout_header_max": duration}
    return {"timeout": "0s", "max_stream_duration": limit}
