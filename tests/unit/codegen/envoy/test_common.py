"""Building blocks of the bootstraps."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.envoy.common import (
    MAX_STREAMS,
    REDACTED_SPAN_TAGS,
    SCRAPE_INTERVAL,
    STRIPPED_HEADER_PREFIXES,
    Config,
    Profile,
    build_access_log_config,
    build_app_cluster,
    build_bootstrap,
    build_circuit_breakers,
    build_cluster,
    build_extension,
    build_http2_options,
    build_http_connection_manager,
    build_listener,
    build_peer_validation_context,
    build_secret_reference,
    build_span_description,
    build_tcp_address,
    build_tls_context,
    build_tracing_config,
    build_unix_address,
    format_placeholder,
    format_spiffe_id,
    strip_headers,
)

PERSONAL_DATA_OPERATORS = ("%REQ(:PATH)%", "%REQ(AUTHORIZATION)%", "%DOWNSTREAM_REMOTE_ADDRESS%", "%REQ(USER-AGENT)%")


@pytest.mark.parametrize(("name", "is_development"), [("development", True), ("production", False)])
def test_profile_name_determines_development(name: str, is_development: bool) -> None:
    assert Profile(name).is_development == is_development


def test_extension_has_the_type_url_of_its_message() -> None:
    assert build_extension("router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True) == {
        "name": "router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": True,
        },
    }


def test_addresses_and_placeholders_have_the_form_of_envoy() -> None:
    assert build_tcp_address("${BIND}", "80") == {"socket_address": {"address": "${BIND}", "port_value": "80"}}
    assert build_unix_address("orders-egress") == {"pipe": {"path": "${RUN_DIR}/orders-egress.sock"}}
    assert format_placeholder("orders", "ADMIN_PORT") == "${ORDERS_ADMIN_PORT}"
    assert format_spiffe_id("delivery.local", "orders") == "spiffe://delivery.local/orders"


def test_cluster_does_not_route_to_unhealthy_hosts() -> None:
    config = build_cluster("app", build_unix_address("orders"))
    assert config["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}
    assert config["load_assignment"] == {
        "cluster_name": "app",
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": build_unix_address("orders")}}]}],
    }


def test_requests_and_streams_have_separate_thresholds() -> None:
    requests, streams = build_circuit_breakers({"max_connections": 5}, max_retries=8)["circuit_breakers"]["thresholds"]
    assert requests == {"max_pending_requests": 256, "max_retries": 8, "max_requests": 1024, "max_connections": 5}
    assert streams["priority"] == "HIGH"
    assert (streams["max_requests"], streams["max_connections"]) == (MAX_STREAMS, MAX_STREAMS)
    assert streams["max_retries"] == 8


@pytest.mark.parametrize(("service", "is_http2"), [("gateway", False), ("orders", True)])
def test_only_rpc_apps_are_called_over_http2(service: str, is_http2: bool) -> None:
    (options,) = build_app_cluster(service)["typed_extension_protocol_options"].values()
    assert ("http2_protocol_options" in options["explicit_http_config"]) == is_http2


def test_connection_to_an_app_has_no_dynamic_table() -> None:
    (options,) = build_app_cluster("orders")["typed_extension_protocol_options"].values()
    assert options["explicit_http_config"]["http2_protocol_options"]["hpack_table_size"] == 0
    (options,) = build_http2_options()["typed_extension_protocol_options"].values()
    assert "hpack_table_size" not in options["explicit_http_config"]["http2_protocol_options"]


def test_secret_is_delivered_from_a_file_beside_the_sockets() -> None:
    reference = build_secret_reference("edge")
    assert reference["name"] == "edge"
    assert reference["sds_config"]["path_config_source"] == {"path": "${RUN_DIR}/edge-sds.json"}


def test_tls_context_bounds_both_versions_and_validates_peers() -> None:
    peer = build_peer_validation_context({"exact": "spiffe://delivery.local/orders"})
    context = build_tls_context("gateway", peer)
    assert set(context["tls_params"].values()) == {"TLSv1_3"}
    assert context["tls_params"].keys() == {"tls_minimum_protocol_version", "tls_maximum_protocol_version"}
    assert context["alpn_protocols"] == ["h2"]
    validation = context["combined_validation_context"]
    assert validation["validation_context_sds_secret_config"]["name"] == "ca"
    assert validation["default_validation_context"]["match_typed_subject_alt_names"] == [
        {"san_type": "URI", "matcher": {"exact": "spiffe://delivery.local/orders"}}
    ]


def test_tracing_ignores_sampling_decisions_of_clients() -> None:
    config = build_tracing_config("orders", "100")
    assert (config["random_sampling"], config["client_sampling"]) == ({"value": "100"}, {"value": 0})
    assert config["provider"]["typed_config"]["service_name"] == "orders-envoy"


def test_spans_contain_no_personal_data() -> None:
    config = build_tracing_config("orders", "100")
    tags = {each["tag"]: each["value"] for each in config["custom_tags"] if "value" in each}
    assert {tags[name] for name in REDACTED_SPAN_TAGS} == {"-"}
    assert config["max_path_tag_length"] == 0


def test_spans_record_the_route_in_place_of_the_path() -> None:
    custom_tags = build_tracing_config("orders", "100")["custom_tags"]
    tags = {each["tag"]: each["metadata"] for each in custom_tags if "metadata" in each}
    assert tags.keys() == {"http.route", "url.path"}
    metadata = build_span_description("getOrder", "/orders/{order_id}")["metadata"]["filter_metadata"]
    for tag in tags.values():
        assert metadata[tag["metadata_key"]["key"]] == {tag["metadata_key"]["path"][0]["key"]: "/orders/{order_id}"}


@pytest.mark.parametrize("name", ["edge", "ingress", "probe"])
def test_access_log_contains_no_personal_data(name: str) -> None:
    (log,) = build_access_log_config(name)
    fields = log["typed_config"]["log_format"]["json_format"]
    assert fields["logger"] == f"access.{name}"
    assert not set(PERSONAL_DATA_OPERATORS) & set(fields.values())


def list_logged_statuses(name: str) -> set[tuple[str, int]]:
    (log,) = build_access_log_config(name)
    filters = log["filter"]["or_filter"]["filters"] if "or_filter" in log["filter"] else [log["filter"]]
    comparisons = [each["status_code_filter"]["comparison"] for each in filters if "status_code_filter" in each]
    return {(each["op"], each["value"]["default_value"]) for each in comparisons}


@pytest.mark.parametrize("name", ["edge", "ingress", "ops"])
def test_edge_logs_errors_denials_and_a_sample_others_log_errors(name: str) -> None:
    denials = {("EQ", 401), ("EQ", 403)} if name == "edge" else set()
    assert list_logged_statuses(name) == {("GE", 500)} | denials
    (log,) = build_access_log_config(name)
    assert ("${ACCESS_LOG_PERCENT}" in str(log)) == (name == "edge")


@given(st.lists(st.sampled_from(["traceparent", "tracestate", "x-trace-id"]), unique=True))
def test_internal_headers_of_clients_are_removed(more: list[str]) -> None:
    (mutation,) = strip_headers(*more)
    mutations = mutation["typed_config"]["mutations"]
    matchers = [each["remove_on_match"]["key_matcher"] for each in mutations if "remove_on_match" in each]
    assert [each["prefix"] for each in matchers] == list(STRIPPED_HEADER_PREFIXES)
    assert all(each["ignore_case"] for each in matchers)
    assert [each["remove"] for each in mutations if "remove" in each] == more


def test_router_is_the_last_filter_of_a_strict_manager() -> None:
    manager = build_http_connection_manager("edge", [{"name": "jwt"}], {"virtual_hosts": []}, codec_type="HTTP2")
    config = manager["typed_config"]
    assert [each["name"] for each in config["http_filters"]] == ["jwt", "router"]
    router = config["http_filters"][-1]["typed_config"]
    assert (router["suppress_envoy_headers"], router["dynamic_stats"]) == (True, False)
    assert (config["stat_prefix"], config["codec_type"]) == ("edge", "HTTP2")
    assert config["route_config"] == {"name": "edge", "virtual_hosts": []}
    assert config["normalize_path"] is config["merge_slashes"] is True
    assert config["path_with_escaped_slashes_action"] == "REJECT_REQUEST"
    assert config["common_http_protocol_options"]["headers_with_underscores_action"] == "REJECT_REQUEST"


@pytest.mark.parametrize("transport_socket", [None, {"name": "tls"}])
def test_listener_has_one_filter_chain(transport_socket: Config | None) -> None:
    config = build_listener(
        "edge", build_unix_address("edge"), {"name": "http"}, transport_socket, traffic_direction="INBOUND"
    )
    (chain,) = config["filter_chains"]
    assert chain == {"filters": [{"name": "http"}], "transport_socket_connect_timeout": "10s"} | (
        {"transport_socket": {"name": "tls"}} if transport_socket else {}
    )
    assert (config["name"], config["traffic_direction"]) == ("edge", "INBOUND")


def test_admin_interface_permits_operators_paths_only() -> None:
    address = build_unix_address("orders-admin")
    config = build_bootstrap("orders", [{"name": "ingress"}], [{"name": "app"}], address)
    paths: list[Any] = [next(iter(each.values())) for each in config["admin"]["allow_paths"]]
    assert set(paths) == {"/ready", "/stats", "/clusters", "/config_dump", "/healthcheck/", "/drain_listeners"}
    assert config["admin"]["address"] == address
    assert config["static_resources"] == {"listeners": [{"name": "ingress"}], "clusters": [{"name": "app"}]}
    assert config["node"]["id"] == "orders"


def test_histograms_are_merged_as_often_as_they_are_scraped() -> None:
    bootstrap = build_bootstrap("orders", [], [], build_unix_address("orders-admin"))
    assert bootstrap["stats_flush_interval"] == SCRAPE_INTERVAL


def test_watchdogs_rarely_wake_up_idle_threads() -> None:
    watchdogs = build_bootstrap("orders", [], [], build_unix_address("orders-admin"))["watchdogs"]
    timeouts = [timeout for watchdog in watchdogs.values() for timeout in watchdog.values()]
    assert watchdogs.keys() == {"main_thread_watchdog", "worker_watchdog"}
    assert min(float(timeout.removesuffix("s")) for timeout in timeouts) >= 5
