"""JWT and RBAC configuration of filters and routes, and its inspection."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.envoy.authorization import (
    GOOGLE_JWKS_URL,
    JWT_PROVIDER,
    accept_token,
    allow_callers,
    allow_public,
    build_jwks_cluster,
    build_jwt_filter,
    build_rbac_filter,
    is_token_optional,
    is_token_required,
    list_allowed_roles,
    list_allowed_spiffe_ids,
    require_token,
)
from codegen.envoy.common import Config, Profile

DEVELOPMENT, PRODUCTION = Profile("development"), Profile("production")
NAMES = st.lists(st.text("abc_", min_size=1, max_size=5), max_size=5, unique=True)


def provider(profile: Profile) -> Config:
    config: Config = build_jwt_filter(profile)["typed_config"]["providers"][JWT_PROVIDER]
    return config


def test_every_request_requires_a_token_by_default() -> None:
    assert build_jwt_filter(PRODUCTION)["typed_config"]["rules"] == [
        {"match": {"prefix": "/"}, "requires": {"provider_name": JWT_PROVIDER}}
    ]


def test_requirement_of_routes_is_defined_by_the_filter() -> None:
    requirements = build_jwt_filter(PRODUCTION)["typed_config"]["requirement_map"]
    route = require_token([])["jwt"]
    assert requirements[route["requirement_name"]] == {"provider_name": JWT_PROVIDER}


@pytest.mark.parametrize(
    ("profile", "uri"),
    [(DEVELOPMENT, "http://${JWKS_HOST}:${JWKS_PORT}/jwks.json"), (PRODUCTION, GOOGLE_JWKS_URL)],
    ids=["development", "production"],
)
def test_keys_are_fetched_from_the_cluster_of_the_profile(profile: Profile, uri: str) -> None:
    http_uri = provider(profile)["remote_jwks"]["http_uri"]
    assert (http_uri["uri"], http_uri["cluster"]) == (uri, build_jwks_cluster(profile)["name"])


@pytest.mark.parametrize("profile", [DEVELOPMENT, PRODUCTION], ids=["development", "production"])
def test_keys_are_fetched_twice_within_a_minute(profile: Profile) -> None:
    remote_jwks = provider(profile)["remote_jwks"]
    assert remote_jwks["cache_duration"]["seconds"] <= 30
    assert remote_jwks["async_fetch"] == {"failed_refetch_duration": "1s"}


def test_tokens_are_accepted_in_the_authorization_header_only() -> None:
    config = provider(PRODUCTION)
    assert config["from_headers"] == [{"name": "authorization", "value_prefix": "Bearer "}]
    assert config["forward"] is True  # the next hop validates the token again
    assert not config.keys() & {"from_params", "from_cookies", "jwt_cache_config"}


def test_expiry_issuer_and_audience_are_required() -> None:
    config = provider(PRODUCTION)
    assert config["require_expiration"] is True
    assert config["audiences"] == ["${FIREBASE_PROJECT_ID}"]
    assert config["issuer"] == "https://securetoken.google.com/${FIREBASE_PROJECT_ID}"


def test_production_keys_come_from_a_verified_tls_host() -> None:
    tls = build_jwks_cluster(PRODUCTION)["transport_socket"]["typed_config"]
    (san,) = tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    assert tls["sni"] == san["matcher"]["exact"] == "www.googleapis.com"
    assert GOOGLE_JWKS_URL.startswith(f"https://{tls['sni']}/")


def test_development_keys_come_without_tls() -> None:
    assert "transport_socket" not in build_jwks_cluster(DEVELOPMENT)


def test_rbac_filter_without_policies_denies_all_requests() -> None:
    assert build_rbac_filter()["typed_config"]["rules"] == {"action": "ALLOW"}


def test_public_route_needs_neither_token_nor_role() -> None:
    config = allow_public()
    assert config["jwt"]["disabled"] is True
    assert "rbac" not in config["rbac"]
    assert not is_token_required(config)
    assert list_allowed_roles(config) == list_allowed_spiffe_ids(config) == set()


def test_optional_token_is_verified_or_missing() -> None:
    config = accept_token()
    assert is_token_optional(config)
    assert not is_token_required(config)
    assert not is_token_optional(require_token([]))
    assert "rbac" not in config["rbac"]
    requirements = build_jwt_filter(PRODUCTION)["typed_config"]["requirement_map"]
    alternatives = requirements[config["jwt"]["requirement_name"]]["requires_any"]["requirements"]
    assert alternatives == [requirements["bearer"], {"allow_missing": {}}]


def test_token_without_roles_permits_every_user() -> None:
    config = require_token([])
    assert is_token_required(config)
    assert "rbac" not in config["rbac"]


@given(NAMES.filter(bool))
def test_roles_of_a_route_are_readable(roles: Sequence[str]) -> None:
    config = require_token(roles)
    assert is_token_required(config)
    assert list_allowed_roles(config) == set(roles)
    assert list_allowed_spiffe_ids(config) == set()


def test_role_is_compared_with_the_verified_claim() -> None:
    (principal,) = require_token(["admin"])["rbac"]["rbac"]["rules"]["policies"]["allowed"]["principals"]
    matcher = principal["sourced_metadata"]["metadata_matcher"]
    assert matcher["path"] == [{"key": provider(PRODUCTION)["payload_in_metadata"]}, {"key": "role"}]


@given(NAMES, st.booleans())
def test_callers_of_a_route_are_readable(names: Sequence[str], actor_required: bool) -> None:
    config = allow_callers("delivery.local", names, actor_required=actor_required)
    assert is_token_required(config) == actor_required
    assert list_allowed_spiffe_ids(config) == {f"spiffe://delivery.local/{name}" for name in names}
    assert list_allowed_roles(config) == set()


def test_permitted_principals_may_send_any_request() -> None:
    for config in (require_token(["admin"]), allow_callers("delivery.local", ["orders"], actor_required=True)):
        assert config["rbac"]["rbac"]["rules"]["policies"]["allowed"]["permissions"] == [{"any": True}]


def test_route_without_callers_denies_all_callers() -> None:
    rule = allow_callers("delivery.local", [], actor_required=False)["rbac"]["rbac"]["rules"]
    assert (rule["action"], rule["policies"]["allowed"]["principals"]) == ("ALLOW", [])
