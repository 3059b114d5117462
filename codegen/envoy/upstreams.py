"""Clusters of other services' sidecars: mTLS, health checks, outlier detection and pings."""

from typing import Any

from codegen.envoy.common import (
    Config,
    build_circuit_breakers,
    build_cluster,
    build_http2_options,
    build_peer_validation_context,
    build_tcp_address,
    build_tls_context,
    build_typed_config,
    format_placeholder,
    format_spiffe_id,
)

UPSTREAM_KEEPALIVE = {"interval": "1.5s", "timeout": "1.5s"}
"""Pings of another sidecar. Calls to an instance that has become unreachable fail when a ping is not answered.

Each ping wakes up both sidecars, also without calls.
"""


def build_ingress_cluster(trust_domain: str, caller: str, service: str, **options: Any) -> Config:
    """Return a cluster of another service's ingress with mTLS."""
    message_name = "extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    peer = build_peer_validation_context({"exact": format_spiffe_id(trust_domain, service)})
    tls = build_typed_config(message_name, common_tls_context=build_tls_context(caller, peer))
    return build_cluster(
        service,
        build_tcp_address(format_placeholder(service, "HOST"), format_placeholder(service, "INGRESS_PORT")),
        discovery_type="STRICT_DNS",
        transport_socket={"name": "tls", "typed_config": tls},
        **build_circuit_breakers({}, max_retries=8),
        **options,
    )


def build_upstream_cluster(trust_domain: str, caller: str, service: str) -> Config:
    """Return the cluster of another service's ingress: mTLS, health checks and outlier detection."""
    return build_ingress_cluster(
        trust_domain,
        caller,
        service,
        outlier_detection={"consecutive_5xx": 10, "interval": "1s", "base_ejection_time": "2s"},
        health_checks=[
            {
                "timeout": "1s",
                "interval": "2s",
                "no_traffic_interval": "2s",
                "initial_jitter": "0.2s",
                "unhealthy_threshold": 3,
                "healthy_threshold": 1,
                "unhealthy_interval": "0.5s",
                "grpc_health_check": {},
            }
        ],
        **build_http2_options(connection_keepalive=UPSTREAM_KEEPALIVE),
    )
