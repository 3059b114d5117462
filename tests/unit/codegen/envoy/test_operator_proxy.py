"""Routes of the operator proxy: public health checks and reflection, RPCs for admins only."""

import pytest

from codegen.envoy import operator_proxy
from codegen.envoy.authorization import allow_public, is_token_required, list_allowed_roles
from codegen.envoy.common import HEALTH_CHECK_PATH, Config, Profile
from codegen.envoy.sidecar import REFLECTION_PREFIXES
from tests.unit.codegen.sample_contracts import create_contracts

SERVICES = ("notes", "archive")
BOOTSTRAP = operator_proxy.generate(create_contracts(), Profile("development"), "delivery.local", SERVICES)


def manager() -> Config:
    listener, _ = BOOTSTRAP["static_resources"]["listeners"]
    config: Config = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return config


HOSTS = {host["name"]: host for host in manager()["route_config"]["virtual_hosts"]}


def routes(host: str) -> dict[str, Config]:
    return {route["name"]: route for route in HOSTS[host]["routes"]}


@pytest.mark.parametrize("service", SERVICES)
def test_authority_selects_the_service(service: str) -> None:
    assert HOSTS[service]["domains"] == [service, f"{service}:*"]
    assert {route["route"]["cluster"] for route in routes(service).values()} == {service}


@pytest.mark.parametrize("service", SERVICES)
def test_rpcs_of_a_service_require_an_admin(service: str) -> None:
    route = routes(service)["admins"]
    assert route["match"] == {"prefix": f"/delivery.{service}.v1."}
    assert is_token_required(route["typed_per_filter_config"])
    assert list_allowed_roles(route["typed_per_filter_config"]) == {"admin"}


@pytest.mark.parametrize("service", SERVICES)
def test_health_check_and_reflection_are_public(service: str) -> None:
    public = {name: route for name, route in routes(service).items() if name != "admins"}
    assert [route["match"] for route in public.values()] == [
        {"path": HEALTH_CHECK_PATH},
        *({"prefix": prefix} for prefix in REFLECTION_PREFIXES),
    ]
    assert all(route["typed_per_filter_config"] == allow_public() for route in public.values())


def test_unknown_authority_reaches_no_rpc() -> None:
    assert HOSTS["default"]["domains"] == ["*"]
    assert routes("default") == {name: route for name, route in routes("notes").items() if name != "admins"}


def test_tokens_are_verified_and_connect_is_translated() -> None:
    assert [each["name"] for each in manager()["http_filters"]] == [
        "bearer_scheme",
        "bearer_header",
        "jwt",
        "rbac",
        "connect",
        "router",
    ]


def test_calls_use_the_identity_of_the_proxy() -> None:
    clusters = {each["name"]: each for each in BOOTSTRAP["static_resources"]["clusters"]}
    assert clusters.keys() == {"otlp", "jwks", "admin", *SERVICES}
    for service in SERVICES:
        tls = clusters[service]["transport_socket"]["typed_config"]["common_tls_context"]
        assert [each["name"] for each in tls["tls_certificate_sds_secret_configs"]] == ["ops"]


def test_operator_proxy_does_not_wake_up_idle_services() -> None:
    upstreams = [each for each in BOOTSTRAP["static_resources"]["clusters"] if each["name"] in SERVICES]
    assert len(upstreams) == len(SERVICES)
    assert all("transport_socket" in each and "health_checks" not in each for each in upstreams)
