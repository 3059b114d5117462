"""Rate limits at the edge: one `local_ratelimit` filter per scope, with the limits of each route.

Limits are token buckets in the memory of one Envoy and one listener. RATE_LIMIT_FACTOR multiplies all of them. Header
fields: draft-ietf-httpapi-ratelimit-headers.
"""

from collections.abc import Iterable

from codegen.envoy.common import JWT_FILTER, Config, build_extension, build_typed_config
from codegen.envoy.response_headers import set_header
from codegen.rest.rate_limits import SCOPES, RateLimit

POLICY_FILTER = "rate_limit_policy"
FACTOR = "${RATE_LIMIT_FACTOR}"
"""deploy/render_bootstrap.py computes the products of this setting: `${RATE_LIMIT_FACTOR}*20`."""

MAX_CLIENTS = 4096
"""Maximum number of addresses or users per route whose buckets are stored; the least recently used one is evicted."""

IPV6_PREFIX_BITS = 64
"""IPv6 addresses of one client share this prefix."""

UNLIMITED: Config = {"max_tokens": 2**32 - 1, "tokens_per_fill": 2**32 - 1, "fill_interval": "1s"}
"""Bucket of requests without a descriptor, which Envoy requires."""

ALWAYS: Config = {"default_value": {"numerator": 100}}
ACTIONS: dict[str, Config] = {
    "address": {"masked_remote_address": {"v6_prefix_mask_len": IPV6_PREFIX_BITS}},
    "subject": {
        "metadata": {
            "descriptor_key": "subject",
            "metadata_key": {
                "key": "envoy.filters.http.jwt_authn",
                "path": [{"key": JWT_FILTER}, {"key": "sub"}],
            },
        }
    },
}
"""Action that yields the descriptor of a scope. The scope `global` has none."""

DESCRIPTOR_KEYS = {"address": "masked_remote_address", "subject": "subject"}
LOCAL_RATE_LIMIT = "extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
HEADER_MUTATION = "extensions.filters.http.header_mutation.v3.HeaderMutation"


def format_filter_name(scope: str) -> str:
    """Return the name of the filter that enforces the limits of a scope."""
    return f"rate_limit_{scope}"


def format_headers_filter_name(scope: str) -> str:
    """Return the name of the filter that reports the remaining requests of a scope."""
    return f"rate_limit_headers_{scope}"


def build_policy_filter() -> Config:
    """Return the filter that adds the header RateLimit-Policy of a route, to its 429 responses too."""
    return build_extension(POLICY_FILTER, HEADER_MUTATION, mutations={}) | {"disabled": True}


def build_filters(scope: str) -> list[Config]:
    """Return the filters of a scope, which routes enable: the report of the remaining requests, and the limit.

    Envoy reports the remaining requests in `x-ratelimit-remaining`, unless an earlier filter rejects the request. The
    value is rewritten only where it exists, and a header with an empty value is not added.
    """
    remaining = f'"{scope}";r=%RESP(X-RATELIMIT-REMAINING)%'
    mutations: list[Config] = [
        {"append": set_header("x-ratelimit-remaining", remaining, "OVERWRITE_IF_EXISTS")},
        {"append": set_header("ratelimit", "%RESP(X-RATELIMIT-REMAINING)%", "APPEND_IF_EXISTS_OR_ADD")},
        {"remove_on_match": {"key_matcher": {"prefix": "x-ratelimit-"}}},
    ]
    report = build_extension(
        format_headers_filter_name(scope), HEADER_MUTATION, mutations={"response_mutations": mutations}
    )
    name = format_filter_name(scope)
    return [report | {"disabled": True}, build_extension(name, LOCAL_RATE_LIMIT, stat_prefix=name)]


def format_policy(limit: RateLimit) -> str:
    """Return the policy of a limit: `"address";q=20;w=60`."""
    return f'"{limit.scope}";q={FACTOR}*{limit.requests};w={limit.window_s}'


def build_bucket(limit: RateLimit) -> Config:
    """Return the token bucket of a limit."""
    tokens = f"{FACTOR}*{limit.requests}"
    return {"max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": f"{limit.window_s}s"}


def build_limit(limit: RateLimit) -> Config:
    """Return the configuration of a route for the filter of one scope."""
    name = format_filter_name(limit.scope)
    fields: Config = {"token_bucket": build_bucket(limit)}
    if limit.scope in ACTIONS:
        descriptor = {"entries": [{"key": DESCRIPTOR_KEYS[limit.scope]}], "token_bucket": build_bucket(limit)}
        fields = {
            "rate_limits": [{"actions": [ACTIONS[limit.scope]]}],
            "descriptors": [descriptor],
            "max_dynamic_descriptors": MAX_CLIENTS,
            "token_bucket": UNLIMITED,
            "always_consume_default_token_bucket": False,
        }
    return build_typed_config(
        LOCAL_RATE_LIMIT,
        stat_prefix=name,
        filter_enabled=ALWAYS,
        filter_enforced=ALWAYS,
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
        response_headers_to_add=[set_header("retry-after", str(limit.max_wait_s))],
        **fields,
    )


def build_route_limits(limits: Iterable[RateLimit]) -> Config:
    """Return the filter configurations of a route with these limits; empty without any."""
    by_scope = {limit.scope: limit for limit in limits}
    if not by_scope:
        return {}
    policy = set_header("ratelimit-policy", ", ".join(map(format_policy, by_scope.values())))
    per_route = build_typed_config(f"{HEADER_MUTATION}PerRoute", mutations={"response_mutations": [{"append": policy}]})
    enabled = build_typed_config("config.route.v3.FilterConfig", config={})
    return {
        POLICY_FILTER: per_route,
        **{format_headers_filter_name(scope): enabled for scope in by_scope},
        **{format_filter_name(scope): build_limit(limit) for scope, limit in by_scope.items()},
    }


def list_route_limits(filter_configs: Config) -> set[tuple[str, str, str]]:
    """Return scope, number of requests and window of all limits of a route."""
    limits = set()
    for scope in SCOPES:
        if config := filter_configs.get(format_filter_name(scope)):
            [bucket] = [each["token_bucket"] for each in config.get("descriptors", [config])]
            limits.add((scope, bucket["max_tokens"], bucket["fill_interval"]))
    return limits


def list_expected_limits(limits: Iterable[RateLimit]) -> set[tuple[str, str, str]]:
    """Return the limits of the contract in the form of `list_route_limits`."""
    return {(each.scope, f"{FACTOR}*{each.requests}", f"{each.window_s}s") for each in limits}
