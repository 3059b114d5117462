"""Rate limits of routes and the filters that enforce them."""

from typing import Any

import pytest

from codegen.envoy import rate_limits
from codegen.envoy.rate_limits import build_filters, build_policy_filter, build_route_limits
from codegen.rest.rate_limits import SCOPES, RateLimit

LIMITS = [RateLimit("address", 20, 3600), RateLimit("subject", 60, 60), RateLimit("global", 500, 1)]
CONFIGS: dict[str, Any] = build_route_limits(LIMITS)
BUCKET = {
    "max_tokens": "${RATE_LIMIT_FACTOR}*20",
    "tokens_per_fill": "${RATE_LIMIT_FACTOR}*20",
    "fill_interval": "3600s",
}


def test_route_without_limits_has_no_configuration() -> None:
    assert build_route_limits([]) == {}


def test_every_configuration_of_a_route_has_a_filter() -> None:
    filters = [build_policy_filter(), *(each for scope in SCOPES for each in build_filters(scope))]
    assert {each["name"] for each in filters} == CONFIGS.keys()
    assert all(each.get("disabled") or "token_bucket" not in each["typed_config"] for each in filters)


def test_limit_per_client_has_one_bucket_for_each_address() -> None:
    config = CONFIGS["rate_limit_address"]
    (descriptor,) = config["descriptors"]
    assert descriptor == {"entries": [{"key": "masked_remote_address"}], "token_bucket": BUCKET}
    assert config["rate_limits"] == [{"actions": [{"masked_remote_address": {"v6_prefix_mask_len": 64}}]}]
    assert config["always_consume_default_token_bucket"] is False
    assert config["max_dynamic_descriptors"] == rate_limits.MAX_CLIENTS


def test_limit_per_subject_uses_the_verified_token() -> None:
    (limit,) = CONFIGS["rate_limit_subject"]["rate_limits"]
    key = limit["actions"][0]["metadata"]["metadata_key"]
    assert key == {"key": "envoy.filters.http.jwt_authn", "path": [{"key": "jwt"}, {"key": "sub"}]}


def test_global_limit_has_a_single_bucket() -> None:
    config = CONFIGS["rate_limit_global"]
    assert config["token_bucket"]["max_tokens"] == "${RATE_LIMIT_FACTOR}*500"
    assert "descriptors" not in config


@pytest.mark.parametrize(("scope", "seconds"), [("address", "180"), ("subject", "1"), ("global", "1")])
def test_rejection_has_retry_after_of_one_token(scope: str, seconds: str) -> None:
    (header,) = CONFIGS[f"rate_limit_{scope}"]["response_headers_to_add"]
    assert header["header"] == {"key": "retry-after", "value": seconds}


def test_policy_lists_all_limits_of_the_route() -> None:
    (mutation,) = CONFIGS["rate_limit_policy"]["mutations"]["response_mutations"]
    assert mutation["append"]["header"]["value"] == (
        '"address";q=${RATE_LIMIT_FACTOR}*20;w=3600, "subject";q=${RATE_LIMIT_FACTOR}*60;w=60, '
        '"global";q=${RATE_LIMIT_FACTOR}*500;w=1'
    )


def test_limits_of_a_route_are_those_of_the_contract() -> None:
    assert rate_limits.list_route_limits(CONFIGS) == rate_limits.list_expected_limits(LIMITS)
    assert rate_limits.list_route_limits(build_route_limits(LIMITS[:1])) != rate_limits.list_expected_limits(LIMITS)
