"""Clusters of other sidecars: identity, health checks, and pings."""

from codegen.envoy import upstreams

DOMAIN = "delivery.local"


def test_upstream_is_identified_by_its_spiffe_id() -> None:
    config = upstreams.build_upstream_cluster(DOMAIN, "gateway", "notes")
    tls = config["transport_socket"]["typed_config"]["common_tls_context"]
    assert [each["name"] for each in tls["tls_certificate_sds_secret_configs"]] == ["gateway"]
    (san,) = tls["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"]
    assert san["matcher"] == {"exact": "spiffe://delivery.local/notes"}
    (endpoint,) = config["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {
        "address": "${NOTES_HOST}",
        "port_value": "${NOTES_INGRESS_PORT}",
    }


def test_failing_upstream_is_ejected_and_checked() -> None:
    config = upstreams.build_upstream_cluster(DOMAIN, "gateway", "notes")
    assert config["outlier_detection"] == {"consecutive_5xx": 10, "interval": "1s", "base_ejection_time": "2s"}
    (check,) = config["health_checks"]
    assert check["grpc_health_check"] == {}
    assert (check["unhealthy_threshold"], check["healthy_threshold"]) == (3, 1)


def test_call_to_unreachable_upstream_fails_within_three_seconds() -> None:
    config = upstreams.build_upstream_cluster(DOMAIN, "gateway", "notes")
    (options,) = config["typed_extension_protocol_options"].values()
    keepalive = options["explicit_http_config"]["http2_protocol_options"]["connection_keepalive"]
    assert sum(float(keepalive[name].removesuffix("s")) for name in ("interval", "timeout")) <= 3
