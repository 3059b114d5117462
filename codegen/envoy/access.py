"""Who may pass: tokens by jwt_authn, roles and callers by RBAC. Both are closed by default; every route says what it opens."""

from collections.abc import Iterator, Sequence

from codegen.envoy.common import JWT, RBAC, Config, Profile, address, cluster, extension, http2, spiffe, typed

PROVIDER = "firebase"
GOOGLE_KEYS = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"


def jwt_filter(profile: Profile) -> Config:
    """Requires a valid token everywhere; routes opt out, or name the requirement.

    Keys are fetched ahead, so that an outage of the provider stops nobody. Verdicts are not cached: a key that left counts at once.
    """
    uri = "http://${JWKS_HOST}:${JWKS_PORT}/jwks.json" if profile.development else GOOGLE_KEYS
    provider = {
        "issuer": "https://securetoken.google.com/${FIREBASE_PROJECT_ID}",
        "audiences": ["${FIREBASE_PROJECT_ID}"],
        "require_expiration": True,
        "clock_skew_seconds": 5,
        "forward": True,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "forward_payload_header": "x-jwt-payload",
        "payload_in_metadata": JWT,
        "remote_jwks": {
            "http_uri": {"uri": uri, "cluster": "jwks", "timeout": "2s"},
            "cache_duration": {"seconds": 300},
            "async_fetch": {"failed_refetch_duration": "1s"},
            "retry_policy": {"num_retries": 3},
        },
    }
    return extension(
        JWT,
        "extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        providers={PROVIDER: provider},
        requirement_map={"bearer": {"provider_name": PROVIDER}},
        rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": PROVIDER}}],
    )


def jwks_cluster(profile: Profile) -> Config:
    """Where the keys of tokens are fetched."""
    if profile.development:
        return cluster("jwks", address("${JWKS_HOST}", "${JWKS_PORT}"), kind="STRICT_DNS")
    host = "www.googleapis.com"
    context = typed(
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
        cluster(
            "jwks", address(host, "443"), kind="STRICT_DNS", transport_socket={"name": "tls", "typed_config": context}
        )
        | http2()
    )


def rbac_filter() -> Config:
    """Lets nobody pass; routes say who may."""
    return extension(RBAC, "extensions.filters.http.rbac.v3.RBAC", rules={"action": "ALLOW"})


def _jwt(**what: object) -> Config:
    return {JWT: typed("extensions.filters.http.jwt_authn.v3.PerRouteConfig", **what)}


def _rbac(principals: Sequence[Config] | None) -> Config:
    kind = "extensions.filters.http.rbac.v3.RBACPerRoute"
    if principals is None:
        return {RBAC: typed(kind)}
    policy = {"permissions": [{"any": True}], "principals": list(principals)}
    return {RBAC: typed(kind, rbac={"rules": {"action": "ALLOW", "policies": {"who": policy}}})}


def public() -> Config:
    """Anybody, without a token."""
    return _jwt(disabled=True) | _rbac(None)


def token(roles: Sequence[str]) -> Config:
    """A valid token, with one of the roles if there are any."""
    if not roles:
        return _jwt(requirement_name="bearer") | _rbac(None)
    value = {"string_match": {"safe_regex": {"regex": "|".join(roles)}}}
    path = [{"key": JWT}, {"key": "role"}]
    matcher = {"filter": "envoy.filters.http.jwt_authn", "path": path, "value": value}
    return _jwt(requirement_name="bearer") | _rbac([{"sourced_metadata": {"metadata_matcher": matcher}}])


def callers(trust_domain: str, names: Sequence[str], *, actor: bool) -> Config:
    """Sidecars of these names; with a valid token if the method acts for a user."""
    principals = [{"authenticated": {"principal_name": {"exact": spiffe(trust_domain, name)}}} for name in names]
    return (_jwt(requirement_name="bearer") if actor else _jwt(disabled=True)) | _rbac(principals)


def wants_token(doors: Config) -> bool:
    """Whether these rules of a route demand a valid token."""
    return "requirement_name" in doors[JWT]


def roles_of(doors: Config) -> set[str]:
    """The roles that these rules of a route name."""
    return {role for value in _values(doors[RBAC], "regex") for role in value.split("|")}


def caller_ids(doors: Config) -> set[str]:
    """The SPIFFE ids that these rules of a route name."""
    return set(_values(doors[RBAC], "exact"))


def _values(node: object, name: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from [value] if key == name else _values(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from _values(item, name)
