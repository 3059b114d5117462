"""Bootstrap of the operator proxy, in development only: public reflection and health checks, calls for admins."""

from collections.abc import Sequence

from codegen.contracts import Contracts
from codegen.envoy import admin, authorization
from codegen.envoy.bearer_scheme import build_bearer_scheme_filters
from codegen.envoy.common import (
    HEALTH_CHECK_PATH,
    Config,
    Profile,
    build_bootstrap,
    build_extension,
    build_http2_options,
    build_http_connection_manager,
    build_listener,
    build_otlp_cluster,
    build_tcp_address,
    build_tracing_config,
    strip_headers,
)
from codegen.envoy.sidecar import NO_ROUTE_TIMEOUT, REFLECTION_PREFIXES
from codegen.envoy.upstreams import build_ingress_cluster
from codegen.mesh import OPERATOR_SIDECAR

CONNECT_BRIDGE_CONFIG = "extensions.filters.http.connect_grpc_bridge.v3.FilterConfig"


def generate(contracts: Contracts, profile: Profile, trust_domain: str, services: Sequence[str]) -> Config:
    """Return the bootstrap; the :authority selects the service."""
    hosts: list[Config] = []
    for service in services:
        action = {"cluster": service, **NO_ROUTE_TIMEOUT}
        public_routes = [
            {"name": "health", "match": {"path": HEALTH_CHECK_PATH}},
            *({"name": prefix.strip("/"), "match": {"prefix": prefix}} for prefix in REFLECTION_PREFIXES),
        ]
        routes = [
            *(
                route | {"route": action, "typed_per_filter_config": authorization.allow_public()}
                for route in public_routes
            ),
            {
                "name": "admins",
                "match": {"prefix": f"/{contracts.name}.{service}.v1."},
                "route": action,
                "typed_per_filter_config": authorization.require_token(["admin"]),
            },
        ]
        hosts.append({"name": service, "domains": [service, f"{service}:*"], "routes": routes})
    # With an unknown :authority the first service answers reflection; its descriptors contain all messages.
    default_routes = [route for route in hosts[0]["routes"] if route["name"] != "admins"]
    hosts.append({"name": "default", "domains": ["*"], "routes": default_routes})
    manager = build_http_connection_manager(
        OPERATOR_SIDECAR,
        # Command line tools such as buf curl use Connect by default; the bridge translates it to gRPC.
        [
            *build_bearer_scheme_filters(),
            authorization.build_jwt_filter(profile),
            authorization.build_rbac_filter(),
            build_extension("connect", CONNECT_BRIDGE_CONFIG),
        ],
        {"virtual_hosts": hosts},
        early_header_mutation_extensions=strip_headers("traceparent", "tracestate"),
        tracing=build_tracing_config(OPERATOR_SIDECAR, "100"),
    )
    clusters = [
        build_otlp_cluster(),
        authorization.build_jwks_cluster(profile),
        admin.build_admin_cluster(OPERATOR_SIDECAR, profile),
        # Without health checks, which would wake up each sidecar and each service while there are no calls.
        *(
            build_ingress_cluster(trust_domain, OPERATOR_SIDECAR, service, **build_http2_options())
            for service in services
        ),
    ]
    listener = build_listener(OPERATOR_SIDECAR, build_tcp_address("${BIND}", "${OPS_PORT}"), manager)
    return build_bootstrap(
        OPERATOR_SIDECAR,
        [listener, *admin.build_admin_listeners(OPERATOR_SIDECAR, profile)],
        clusters,
        admin.build_admin_address(OPERATOR_SIDECAR, profile),
    )
