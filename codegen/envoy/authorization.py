"""Authentication with jwt_authn and authorization with RBAC. Both deny by default; routes state the exceptions."""

from collections.abc import Iterator, Sequence

from codegen.envoy.common import (
    JWT_FILTER,
    RBAC_FILTER,
    Config,
    Profile,
    build_cluster,
    build_extension,
    build_http2_options,
    build_tcp_address,
    build_typed_config,
    format_spiffe_id,
)

JWT_PROVIDER = "firebase"
BEARER, OPTIONAL_BEARER = "bearer", "optional_bearer"
"""Requirements that routes name: a valid token, or none at all."""

GOOGLE_JWKS_URL = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"

JWKS_CACHE_S = 30
"""Seconds for which keys are cached. Envoy fetches them again five seconds before.

A new key is accepted within a minute, even if the first fetch fails.
"""


def build_jwt_filter(profile: Profile) -> Config:
    """Return the jwt_authn filter. It requires a valid token; routes disable it or name the requirement.

    Keys are fetched asynchronously, so that requests do not depend on the availability of the provider. Validated
    tokens are not cached, so that the removal of a key takes effect with the next fetch.
    """
    uri = "http://${JWKS_HOST}:${JWKS_PORT}/jwks.json" if profile.is_development else GOOGLE_JWKS_URL
    provider = {
        "issuer": "https://securetoken.google.com/${FIREBASE_PROJECT_ID}",
        "audiences": ["${FIREBASE_PROJECT_ID}"],
        "require_expiration": True,
        "clock_skew_seconds": 5,
        "forward": True,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "forward_payload_header": "x-jwt-payload",
        "payload_in_metadata": JWT_FILTER,
        "remote_jwks": {
            "http_uri": {"uri": uri, "cluster": "jwks", "timeout": "2s"},
            "cache_duration": {"seconds": JWKS_CACHE_S},
            "async_fetch": {"failed_refetch_duration": "1s"},
            "retry_policy": {"num_retries": 3},
        },
    }
    return build_extension(
        JWT_FILTER,
        "extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        providers={JWT_PROVIDER: provider},
        requirement_map={
            BEARER: {"provider_name": JWT_PROVIDER},
            OPTIONAL_BEARER: {
                "requires_any": {"requirements": [{"provider_name": JWT_PROVIDER}, {"allow_missing": {}}]}
            },
        },
        rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": JWT_PROVIDER}}],
    )


def build_jwks_cluster(profile: Profile) -> Config:
    """Return the cluster of the JWKS endpoint."""
    if profile.is_development:
        return build_cluster("jwks", build_tcp_address("${JWKS_HOST}", "${JWKS_PORT}"), discovery_type="STRICT_DNS")
    host = "www.googleapis.com"
    context = build_typed_config(
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=host,
        common_tls_context={
            "validation_context": {
                "trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"},
                "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}],
            }
        },
    )
    return (
        build_cluster(
            "jwks",
            build_tcp_address(host, "443"),
            discovery_type="STRICT_DNS",
            transport_socket={"name": "tls", "typed_config": context},
        )
        | build_http2_options()
    )


def build_rbac_filter() -> Config:
    """Return the RBAC filter. It denies all requests; routes name the permitted principals."""
    return build_extension(RBAC_FILTER, "extensions.filters.http.rbac.v3.RBAC", rules={"action": "ALLOW"})


def _build_jwt_per_route(**fields: object) -> Config:
    return {JWT_FILTER: build_typed_config("extensions.filters.http.jwt_authn.v3.PerRouteConfig", **fields)}


def _build_rbac_per_route(principals: Sequence[Config] | None) -> Config:
    message_name = "extensions.filters.http.rbac.v3.RBACPerRoute"
    if principals is None:
        return {RBAC_FILTER: build_typed_config(message_name)}
    policy = {"permissions": [{"any": True}], "principals": list(principals)}
    return {
        RBAC_FILTER: build_typed_config(
            message_name, rbac={"rules": {"action": "ALLOW", "policies": {"allowed": policy}}}
        )
    }


def allow_public() -> Config:
    """Permit all requests without a token."""
    return _build_jwt_per_route(disabled=True) | _build_rbac_per_route(None)


def accept_token() -> Config:
    """Permit requests without a token, and those with a valid one."""
    return _build_jwt_per_route(requirement_name=OPTIONAL_BEARER) | _build_rbac_per_route(None)


def require_token(roles: Sequence[str]) -> Config:
    """Require a valid token, with one of the roles if any are given."""
    if not roles:
        return _build_jwt_per_route(requirement_name=BEARER) | _build_rbac_per_route(None)
    value = {"string_match": {"safe_regex": {"regex": "|".join(roles)}}}
    path = [{"key": JWT_FILTER}, {"key": "role"}]
    matcher = {"filter": "envoy.filters.http.jwt_authn", "path": path, "value": value}
    return _build_jwt_per_route(requirement_name=BEARER) | _build_rbac_per_route(
        [{"sourced_metadata": {"metadata_matcher": matcher}}]
    )


def allow_callers(trust_domain: str, names: Sequence[str], *, actor_required: bool) -> Config:
    """Permit the sidecars with these names; require a valid token if the method acts for a user."""
    principals = [
        {"authenticated": {"principal_name": {"exact": format_spiffe_id(trust_domain, name)}}} for name in names
    ]
    return (
        _build_jwt_per_route(requirement_name=BEARER) if actor_required else _build_jwt_per_route(disabled=True)
    ) | _build_rbac_per_route(principals)


def is_token_required(filter_config: Config) -> bool:
    """Return whether the filter configuration of a route requires a token."""
    return bool(filter_config[JWT_FILTER].get("requirement_name") == BEARER)


def is_token_optional(filter_config: Config) -> bool:
    """Return whether the filter configuration of a route verifies a token if the request has one."""
    return bool(filter_config[JWT_FILTER].get("requirement_name") == OPTIONAL_BEARER)


def list_allowed_roles(filter_config: Config) -> set[str]:
    """Return the roles in the filter configuration of a route."""
    return {role for value in _find_values(filter_config[RBAC_FILTER], "regex") for role in value.split("|")}


def list_allowed_spiffe_ids(filter_config: Config) -> set[str]:
    """Return the SPIFFE ids in the filter configuration of a route."""
    return set(_find_values(filter_config[RBAC_FILTER], "exact"))


def _find_values(node: object, name: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from [value] if key == name else _find_values(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from _find_values(item, name)
