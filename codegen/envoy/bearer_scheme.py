"""Filters that write the authentication scheme as `Bearer`, because jwt_authn compares it with regard to case.

RFC 9110, 11.1: the scheme is case-insensitive, and one or more spaces follow it.
"""

from codegen.envoy.common import Config, build_extension

METADATA_NAMESPACE = "bearer"
METADATA_KEY = "authorization"
SCHEME_PATTERN = "(?i)^bearer +"


def build_bearer_scheme_filters() -> list[Config]:
    """Return the filters. The first one computes the header, and the second one replaces it.

    Headers with another scheme, and headers above the limit of metadata (8 KiB), are forwarded unchanged.
    """
    rule = {
        "header": "authorization",
        "on_header_present": {
            "metadata_namespace": METADATA_NAMESPACE,
            "key": METADATA_KEY,
            "regex_value_rewrite": {"pattern": {"regex": SCHEME_PATTERN}, "substitution": "Bearer "},
        },
        "remove": False,
    }
    header = {"key": "authorization", "value": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{METADATA_KEY})%"}
    mutation = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS"}}
    return [
        build_extension("bearer_scheme", "extensions.filters.http.header_to_metadata.v3.Config", request_rules=[rule]),
        build_extension(
            "bearer_header",
            "extensions.filters.http.header_mutation.v3.HeaderMutation",
            mutations={"request_mutations": [mutation]},
        ),
    ]
