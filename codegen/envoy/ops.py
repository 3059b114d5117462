"""The operators' Envoy: an identity of its own, reflection and health open, everything else for admins. Development only."""

from collections.abc import Sequence

from codegen.contracts import Contracts
from codegen.envoy import access
from codegen.envoy.common import (
    HEALTH_CHECK,
    Config,
    Profile,
    address,
    bootstrap,
    extension,
    http_manager,
    listener,
    otlp_cluster,
    strip_headers,
    tracing,
)
from codegen.envoy.sidecar import OPEN_STREAM, REFLECTION, upstream

NAME = "ops"
CONNECT = "extensions.filters.http.connect_grpc_bridge.v3.FilterConfig"


def generate(contracts: Contracts, profile: Profile, trust_domain: str, services: Sequence[str]) -> Config:
    """The whole bootstrap; the :authority chooses the service."""
    hosts: list[Config] = []
    for service in services:
        action = {"cluster": service, **OPEN_STREAM}
        open_routes = [
            {"name": "health", "match": {"path": HEALTH_CHECK}},
            *({"name": prefix.strip("/"), "match": {"prefix": prefix}} for prefix in REFLECTION),
        ]
        routes = [
            *(route | {"route": action, "typed_per_filter_config": access.public()} for route in open_routes),
            {
                "name": "admins",
                "match": {"prefix": f"/delivery.{service}.v1."},
                "route": action,
                "typed_per_filter_config": access.token(["admin"]),
            },
        ]
        hosts.append({"name": service, "domains": [service, f"{service}:*"], "routes": routes})
    # Without an :authority of ours, reflection is answered by the first service: it can describe every message.
    described = [route for route in hosts[0]["routes"] if route["name"] != "admins"]
    hosts.append({"name": "anybody", "domains": ["*"], "routes": described})
    manager = http_manager(
        NAME,
        # People's tools speak Connect by default (buf curl does), so this door translates.
        [access.jwt_filter(profile), access.rbac_filter(), extension("connect", CONNECT)],
        {"virtual_hosts": hosts},
        early_header_mutation_extensions=strip_headers("traceparent", "tracestate"),
        tracing=tracing(NAME, "100"),
    )
    clusters = [
        otlp_cluster(),
        access.jwks_cluster(profile),
        *(upstream(trust_domain, NAME, service) for service in services),
    ]
    return bootstrap(NAME, [listener(NAME, address("${BIND}", "${OPS_PORT}"), manager)], clusters)
