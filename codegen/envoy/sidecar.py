"""Sidecar of a service: egress listener on a unix socket, ingress listener with mTLS, and probe listener."""

from collections.abc import Collection, Iterable

from codegen.contracts import Contracts
from codegen.envoy import authorization, grpc_bridge
from codegen.envoy.admin import build_admin_cluster
from codegen.envoy.bearer_scheme import build_bearer_scheme_filters
from codegen.envoy.common import (
    APP_HTTP2_OPTIONS,
    HEALTH_CHECK_PATH,
    MAX_STREAMS,
    Config,
    Profile,
    build_app_cluster,
    build_cluster,
    build_extension,
    build_http2_options,
    build_http_connection_manager,
    build_listener,
    build_otlp_cluster,
    build_peer_validation_context,
    build_private_socket,
    build_span_description,
    build_tcp_address,
    build_tls_context,
    build_tracing_config,
    build_typed_config,
    build_unix_address,
    format_placeholder,
    format_spiffe_id,
)
from codegen.envoy.grpc_requests import (
    DENIED_TIMEOUT,
    HEALTH_CHECK_TIMEOUT,
    MAX_HEADERS_KB,
    REFLECTION_TIMEOUT,
    build_malformed_header_routes,
    limit_duration,
    strip_call_headers,
)
from codegen.envoy.overload import build_gateway_clusters
from codegen.envoy.retries import build_retry_policy
from codegen.envoy.upstreams import build_upstream_cluster
from codegen.naming import format_seconds
from codegen.protobuf import Method

REFLECTION_PREFIXES = ("/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/")
NO_ROUTE_TIMEOUT = {"timeout": "0s", "max_stream_duration": {"grpc_timeout_header_max": "0s"}}
"""No additional timeout: the sidecar of the called service limits the duration of each call."""

TRACING_DISABLED = {"tracing": {"random_sampling": {"numerator": 0}, "overall_sampling": {"numerator": 0}}}


def list_service_methods(contracts: Contracts, service: str) -> list[Method]:
    """Return the methods of a service."""
    package = f"{contracts.name}.{service}.v1"
    return [method for each in contracts.protos.services if each.package == package for method in each.methods]


def list_granted_methods(contracts: Contracts, caller: str, services: Iterable[str]) -> dict[str, list[Method]]:
    """Return the methods that a caller may call, by service; services without any are omitted."""
    granted = {
        service: [method for method in list_service_methods(contracts, service) if caller in method.callers]
        for service in services
    }
    return {service: methods for service, methods in granted.items() if methods}


def build_stream_route_options(method: Method) -> Config:
    """Return the options of streaming methods: no idle timeout, and the circuit breaker for streams."""
    return {"idle_timeout": "0s", "priority": "HIGH"} if method.is_streaming else {}


def format_timeout(method: Method) -> str:
    """Return the timeout of a method; 0 seconds, which means none, for a stream without one."""
    return f"{format_seconds(method.timeout_s or 0)}s"


def build_egress_route(service: str, method: Method) -> Config:
    """Return the egress route of a method, with its maximum deadline and its retries."""
    action: Config = {
        "cluster": service,
        **limit_duration(format_timeout(method)),
        **build_stream_route_options(method),
        "retry_policy": build_retry_policy(method),
    }
    return {
        "name": method.path.removeprefix("/"),
        "match": {"path": method.path},
        "route": action,
        **build_span_description(method.path.removeprefix("/"), method.path),
    }


def build_egress_listeners(contracts: Contracts, caller: str, services: Iterable[str]) -> list[Config]:
    """Return the egress listener of the app, if it may call any method.

    The :authority selects the service; only granted methods have a route.
    """
    hosts = [
        {"name": service, "domains": [service], "routes": [build_egress_route(service, method) for method in methods]}
        for service, methods in list_granted_methods(contracts, caller, services).items()
    ]
    if not hosts:
        return []
    manager = build_http_connection_manager(
        "egress",
        [],
        {"virtual_hosts": hosts, **grpc_bridge.remove_content_length()},
        # The app uses a single connection for all streams.
        http2_protocol_options={"max_concurrent_streams": 2 * MAX_STREAMS},
        tracing=build_tracing_config(caller, "100"),
        **grpc_bridge.build_egress_options(),
    )
    address = build_private_socket(f"{caller}-egress")
    # Requests that the edge has accepted are completed, also while it accepts no others.
    options: Config = {"traffic_direction": "OUTBOUND", "drain_type": "MODIFY_ONLY", "bypass_overload_manager": True}
    return [build_listener("egress", address, manager, **options)]


def build_ingress_listener(
    contracts: Contracts, profile: Profile, trust_domain: str, service: str, services: Collection[str]
) -> Config:
    """Return the ingress listener: each method is open to its callers, in development also to the operator proxy.

    In development external callers, which are not in `services`, may also use reflection.
    """
    operators = ["ops"] if profile.is_development else []
    all_callers = sorted({caller for method in list_service_methods(contracts, service) for caller in method.callers})
    external_callers = [caller for caller in all_callers if caller not in services]
    to_app = {"cluster": "app"}
    routes: list[Config] = build_malformed_header_routes()
    routes += [
        {
            "name": method.path.removeprefix("/"),
            "match": {"path": method.path},
            "route": {
                "cluster": grpc_bridge.get_app_cluster(method),
                **limit_duration(format_timeout(method)),
                **build_stream_route_options(method),
            },
            **build_span_description(method.path.removeprefix("/"), method.path),
            "typed_per_filter_config": authorization.allow_callers(
                trust_domain, [*method.callers, *operators], actor_required=method.actor_required
            )
            | grpc_bridge.enable_bridge(method),
        }
        for method in list_service_methods(contracts, service)
    ]
    routes.append(
        {
            "name": "health",
            "match": {"path": HEALTH_CHECK_PATH},
            # Calls in progress must not use up the connections of health checks.
            "route": {
                "cluster": grpc_bridge.UNARY_CLUSTER,
                "priority": "HIGH",
                **limit_duration(HEALTH_CHECK_TIMEOUT),
            },
            "typed_per_filter_config": authorization.allow_callers(
                trust_domain, [*all_callers, *operators], actor_required=False
            )
            | grpc_bridge.BRIDGE_ENABLED,
            **TRACING_DISABLED,
        }
    )
    routes += [
        {
            "name": prefix.strip("/"),
            "match": {"prefix": prefix},
            "route": to_app | limit_duration(REFLECTION_TIMEOUT),
            "typed_per_filter_config": authorization.allow_callers(
                trust_domain, [*external_callers, *operators], actor_required=False
            ),
        }
        for prefix in (REFLECTION_PREFIXES if operators else ())
    ]
    # The filters deny all other requests by default.
    routes.append({"name": "default_deny", "match": {"prefix": "/"}, "route": to_app | limit_duration(DENIED_TIMEOUT)})
    manager = build_http_connection_manager(
        "ingress",
        [
            grpc_bridge.build_bridge_filter(),
            *build_bearer_scheme_filters(),
            authorization.build_jwt_filter(profile),
            authorization.build_rbac_filter(),
            build_draining_health_filter(),
        ],
        {"virtual_hosts": [{"name": "app", "domains": ["*"], "routes": routes}]},
        codec_type="HTTP2",
        forward_client_cert_details="SANITIZE_SET",
        set_current_client_cert_details={"uri": True},
        early_header_mutation_extensions=strip_call_headers(),
        max_request_headers_kb=MAX_HEADERS_KB,
        tracing=build_tracing_config(service, "100"),
    )
    message_name = "extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    peer = build_peer_validation_context({"prefix": format_spiffe_id(trust_domain, "")})
    tls = build_typed_config(
        message_name, require_client_certificate=True, common_tls_context=build_tls_context(service, peer)
    )
    address = build_tcp_address("${BIND}", format_placeholder(service, "INGRESS_PORT"))
    return build_listener(
        "ingress", address, manager, {"name": "tls", "typed_config": tls}, traffic_direction="INBOUND"
    )


def build_draining_health_filter() -> Config:
    """Return the filter that fails health checks while the sidecar drains, so that callers select another instance."""
    headers = [{"name": ":path", "string_match": {"exact": HEALTH_CHECK_PATH}}]
    message_name = "extensions.filters.http.health_check.v3.HealthCheck"
    return build_extension("health_check", message_name, pass_through_mode=True, headers=headers)


def build_probe_listener(service: str) -> Config:
    """Return the listener for orchestrators and scrapers: gRPC health check, metrics of the app and of Envoy only."""
    health = {
        "name": "health",
        "match": {"path": HEALTH_CHECK_PATH},
        "route": {"cluster": "health" if service == "gateway" else "app", **limit_duration(HEALTH_CHECK_TIMEOUT)},
    }
    is_get = [{"name": ":method", "string_match": {"exact": "GET"}}]
    scraped = [
        {
            "name": cluster,
            "match": {"path": path, "headers": is_get},
            "route": {"cluster": cluster, "timeout": "5s"},
        }
        for cluster, path in (("metrics", "/metrics"), ("admin", "/stats/prometheus"))
    ]
    not_found = {"name": "not found", "match": {"prefix": "/"}, "direct_response": {"status": 404}}
    routes = [*build_malformed_header_routes(is_authorized=False), health, *scraped, not_found]
    hosts = {"virtual_hosts": [{"name": "probe", "domains": ["*"], "routes": routes}]}
    address = build_tcp_address("${BIND}", format_placeholder(service, "PROBE_PORT"))
    manager = build_http_connection_manager(
        "probe",
        [build_draining_health_filter()],
        hosts,
        early_header_mutation_extensions=strip_call_headers(),
        max_request_headers_kb=MAX_HEADERS_KB,
    )
    return build_listener("probe", address, manager, bypass_overload_manager=True)


def build_clusters(
    contracts: Contracts, profile: Profile, trust_domain: str, service: str, services: Iterable[str]
) -> list[Config]:
    """Return all clusters of a sidecar."""
    health = (
        [build_cluster("health", build_unix_address("gateway-health"), **build_http2_options(**APP_HTTP2_OPTIONS))]
        if service == "gateway"
        else []
    )
    app = [build_app_cluster(service), grpc_bridge.build_unary_cluster(service)]
    return [
        *(build_gateway_clusters() if service == "gateway" else app),
        *health,
        build_cluster("metrics", build_unix_address(f"{service}-metrics")),
        build_admin_cluster(service, profile),
        build_otlp_cluster(),
        authorization.build_jwks_cluster(profile),
        *(
            build_upstream_cluster(trust_domain, service, target)
            for target in list_granted_methods(contracts, service, services)
        ),
    ]
