"""Egress, ingress and probe listeners of a sidecar, and its clusters."""

import pytest

from codegen.contracts import Contracts
from codegen.envoy import grpc_bridge, sidecar
from codegen.envoy.authorization import is_token_required, list_allowed_spiffe_ids
from codegen.envoy.common import HEALTH_CHECK_PATH, Config, Profile
from codegen.envoy.grpc_requests import build_malformed_header_routes
from codegen.envoy.retries import build_retry_policy
from codegen.protobuf import Method
from tests.unit.codegen.sample_contracts import create_contracts, create_method, create_service, create_stream

GET = create_method("GetNote", callers=("gateway", "kiosk"), actor_required=True, attempts=3)
ADD = create_method("AddNote", idempotency="IDEMPOTENCY_UNKNOWN", timeout_s=10.0)
WATCH = create_stream("WatchNotes", callers=("archive",))
STORE = create_method("StoreNote", "archive", callers=("notes",))
CONTRACTS: Contracts = create_contracts(create_service("notes", GET, ADD, WATCH), create_service("archive", STORE))
SERVICES = ["notes", "archive"]
SIDECARS = ["gateway", *SERVICES, "ops"]
DOMAIN = "delivery.local"
DEVELOPMENT, PRODUCTION = Profile("development"), Profile("production")


def manager(listener: Config) -> Config:
    config: Config = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return config


def routes(listener: Config) -> dict[str, Config]:
    return {
        route["name"]: route for host in manager(listener)["route_config"]["virtual_hosts"] for route in host["routes"]
    }


def ingress(profile: Profile = PRODUCTION) -> Config:
    return sidecar.build_ingress_listener(CONTRACTS, profile, DOMAIN, "notes", SIDECARS)


def callers(route: Config) -> set[str]:
    return {each.rpartition("/")[2] for each in list_allowed_spiffe_ids(route["typed_per_filter_config"])}


def test_methods_are_those_of_the_services_package() -> None:
    assert sidecar.list_service_methods(CONTRACTS, "notes") == [GET, ADD, WATCH]
    assert sidecar.list_service_methods(CONTRACTS, "missing") == []


@pytest.mark.parametrize(
    ("caller", "granted"),
    [
        ("gateway", {"notes": [GET, ADD]}),
        ("notes", {"archive": [STORE]}),
        ("archive", {"notes": [WATCH]}),
        ("kiosk", {"notes": [GET]}),
        ("unknown", {}),
    ],
)
def test_granted_methods_are_those_that_name_the_caller(caller: str, granted: dict[str, list[Method]]) -> None:
    assert sidecar.list_granted_methods(CONTRACTS, caller, SERVICES) == granted


def test_granted_methods_are_limited_to_the_given_services() -> None:
    assert sidecar.list_granted_methods(CONTRACTS, "gateway", ["archive"]) == {}


def test_egress_route_bounds_the_deadline_of_a_call() -> None:
    action = sidecar.build_egress_route("notes", ADD)["route"]
    assert action["cluster"] == "notes"
    assert action["max_stream_duration"] == {"max_stream_duration": "10s", "grpc_timeout_header_max": "10s"}
    assert not action.keys() & {"idle_timeout", "priority"}
    assert action["retry_policy"] == build_retry_policy(ADD)


def test_stream_has_neither_deadline_nor_idle_timeout() -> None:
    action = sidecar.build_egress_route("notes", WATCH)["route"]
    assert action["max_stream_duration"] == {"max_stream_duration": "0s", "grpc_timeout_header_max": "0s"}
    assert (action["idle_timeout"], action["priority"]) == ("0s", "HIGH")


def test_egress_has_routes_of_granted_methods_only() -> None:
    (listener,) = sidecar.build_egress_listeners(CONTRACTS, "gateway", SERVICES)
    assert {route["match"]["path"] for route in routes(listener).values()} == {GET.path, ADD.path}
    assert [host["domains"] for host in manager(listener)["route_config"]["virtual_hosts"]] == [["notes"]]


def test_egress_socket_is_accessible_to_its_owner_only() -> None:
    (listener,) = sidecar.build_egress_listeners(CONTRACTS, "gateway", SERVICES)
    assert listener["address"]["pipe"] == {"path": "${RUN_DIR}/gateway-egress.sock", "mode": 0o600}


def test_caller_without_methods_has_no_egress() -> None:
    assert sidecar.build_egress_listeners(CONTRACTS, "unknown", SERVICES) == []


@pytest.mark.parametrize("method", [GET, ADD, WATCH], ids=lambda method: method.name)
def test_ingress_permits_the_callers_of_a_method(method: Method) -> None:
    route = routes(ingress())[method.path.removeprefix("/")]
    assert callers(route) == set(method.callers)
    assert is_token_required(route["typed_per_filter_config"]) == method.actor_required
    timeout = f"{method.timeout_s or 0:g}s"
    assert route["route"]["max_stream_duration"]["max_stream_duration"] == timeout
    assert (timeout == "0s") == method.server_streaming


def test_every_other_ingress_route_has_a_timeout() -> None:
    for name, route in routes(ingress(DEVELOPMENT)).items():
        if "route" in route and name != WATCH.path.removeprefix("/"):
            assert float(route["route"]["max_stream_duration"]["max_stream_duration"].removesuffix("s")) > 0, name


def test_ingress_rejects_malformed_headers_first() -> None:
    malformed = build_malformed_header_routes()
    assert list(routes(ingress()).values())[: len(malformed)] == malformed


def test_operators_have_access_in_development_only() -> None:
    name = GET.path.removeprefix("/")
    assert callers(routes(ingress(DEVELOPMENT))[name]) - callers(routes(ingress())[name]) == {"ops"}


def test_health_check_is_open_to_all_callers_without_token() -> None:
    route = routes(ingress())["health"]
    assert route["match"] == {"path": HEALTH_CHECK_PATH}
    assert callers(route) == {"gateway", "kiosk", "archive"}
    assert route["route"]["cluster"] == grpc_bridge.UNARY_CLUSTER
    assert grpc_bridge.BRIDGE_FILTER in route["typed_per_filter_config"]
    assert not is_token_required(route["typed_per_filter_config"])
    assert route["tracing"] == sidecar.TRACING_DISABLED["tracing"]


def test_reflection_exists_in_development_for_external_callers() -> None:
    names = [prefix.strip("/") for prefix in sidecar.REFLECTION_PREFIXES]
    for name in names:
        assert name not in routes(ingress())
        assert callers(routes(ingress(DEVELOPMENT))[name]) == {"kiosk", "ops"}


@pytest.mark.parametrize("profile", [DEVELOPMENT, PRODUCTION], ids=lambda profile: profile.name)
def test_last_route_has_no_exception_from_the_default_denial(profile: Profile) -> None:
    *others, last = routes(ingress(profile)).values()
    assert last == {"name": "default_deny", "match": {"prefix": "/"}, "route": last["route"]}
    assert all("typed_per_filter_config" in route for route in others)


def test_ingress_requires_a_certificate_of_the_trust_domain() -> None:
    tls = ingress()["filter_chains"][0]["transport_socket"]["typed_config"]
    assert tls["require_client_certificate"] is True
    validation = tls["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    (san,) = validation["match_typed_subject_alt_names"]
    assert san["matcher"] == {"prefix": "spiffe://delivery.local/"}


def test_ingress_replaces_the_identity_that_callers_send() -> None:
    config = manager(ingress())
    assert config["forward_client_cert_details"] == "SANITIZE_SET"
    assert config["set_current_client_cert_details"] == {"uri": True}
    assert [each["name"] for each in config["http_filters"]] == [
        "grpc_http1_reverse_bridge",
        "bearer_scheme",
        "bearer_header",
        "jwt",
        "rbac",
        "health_check",
        "router",
    ]


@pytest.mark.parametrize(("service", "health_cluster"), [("gateway", "health"), ("notes", "app")])
def test_probe_offers_health_check_and_metrics_only(service: str, health_cluster: str) -> None:
    *malformed, health, metrics, statistics, not_found = routes(sidecar.build_probe_listener(service)).values()
    assert malformed == build_malformed_header_routes(is_authorized=False)
    assert (health["match"], health["route"]["cluster"]) == ({"path": HEALTH_CHECK_PATH}, health_cluster)
    for route, path, cluster in ((metrics, "/metrics", "metrics"), (statistics, "/stats/prometheus", "admin")):
        assert (route["match"]["path"], route["route"]["cluster"]) == (path, cluster)
        assert route["match"]["headers"] == [{"name": ":method", "string_match": {"exact": "GET"}}]
    assert not_found["direct_response"] == {"status": 404}


@pytest.mark.parametrize(
    ("service", "names"),
    [
        ("gateway", ["app", "callbacks", "uploads", "health", "metrics", "admin", "otlp", "jwks", "notes"]),
        ("notes", ["app", "app_http1", "metrics", "admin", "otlp", "jwks", "archive"]),
        ("archive", ["app", "app_http1", "metrics", "admin", "otlp", "jwks", "notes"]),
    ],
)
def test_clusters_are_those_of_the_routes(service: str, names: list[str]) -> None:
    config = sidecar.build_clusters(CONTRACTS, PRODUCTION, DOMAIN, service, SERVICES)
    assert [each["name"] for each in config] == names
