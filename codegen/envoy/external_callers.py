"""Bootstraps of external callers: programs outside the mesh's services, each with its own sidecar."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from codegen.contracts import ContractError, Contracts
from codegen.envoy.common import (
    Config,
    Profile,
    build_bootstrap,
    build_http_connection_manager,
    build_listener,
    build_otlp_cluster,
    build_private_socket,
    build_tracing_config,
)
from codegen.envoy.grpc_bridge import UNARY_CLUSTER
from codegen.envoy.sidecar import NO_ROUTE_TIMEOUT, build_egress_route, list_granted_methods
from codegen.envoy.upstreams import build_upstream_cluster
from codegen.mesh import OPERATOR_SIDECAR, list_services

RESERVED_NAMES = frozenset(
    {"app", UNARY_CLUSTER, "ca", "callbacks", "edge", "health", "jwks", "otlp", "uploads", OPERATOR_SIDECAR}
)
"""Names that certificates, clusters and sockets of the mesh already use."""


def get_options_file(contracts: Contracts) -> str:
    """Return the path of the file with the options of methods and events."""
    return f"api-specs/proto/{contracts.name}/options/v1/options.proto"


def list_names(contracts: Contracts, mesh: Mapping[str, Any]) -> list[str]:
    """Return the external callers in the order of the contract.

    Raises ContractError when callers, sidecars and events are inconsistent.
    """
    callers, options_proto = contracts.protos.callers, get_options_file(contracts)
    sidecars = list_services(mesh)
    external = [name for name in callers if name not in sidecars]
    errors = [
        *(
            f"envoy/mesh.yaml defines the sidecar {name}; add CALLER_{name.upper()} to Caller in {options_proto}"
            for name in sidecars
            if name not in callers
        ),
        *(error for name in external for error in _iter_caller_errors(contracts, sidecars, name)),
    ]
    if errors:
        raise ContractError(*errors)
    return external


def _iter_caller_errors(contracts: Contracts, services: list[str], name: str) -> Iterator[str]:
    """Yield the errors of an external caller."""
    caller, options_proto = f"CALLER_{name.upper()}", get_options_file(contracts)
    if name in RESERVED_NAMES or not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", name):
        yield f"{options_proto}: {caller} is not a valid caller: {name!r} is reserved or malformed; rename it"
    elif not list_granted_methods(contracts, name, services):
        yield f"{options_proto}: {caller} has no methods; add it to the `callers` of a method, or remove it"
    for event in contracts.protos.events:
        if event.producer == name:
            yield f"{event.message}: the producer {caller} has no outbox; only services in envoy/mesh.yaml have one"


def generate(contracts: Contracts, profile: Profile, trust_domain: str, services: list[str], name: str) -> Config:
    """Return the bootstrap: egress and admin on unix sockets, no ingress and no TCP port.

    Calls of other methods are forwarded to the service, whose sidecar returns PERMISSION_DENIED. Calls of a service
    that grants no method are denied here. In development the services with a granted method also offer reflection.
    """
    granted = list_granted_methods(contracts, name, services)
    denied = {"status": 403, "body": {"inline_string": f"{name} is not a caller of any method of this service"}}
    hosts: list[Config] = [
        {
            "name": service,
            "domains": [service],
            "routes": [
                *(build_egress_route(service, method) for method in methods),
                {"name": "default_deny", "match": {"prefix": "/"}, "route": {"cluster": service, **NO_ROUTE_TIMEOUT}},
            ],
        }
        for service, methods in granted.items()
    ]
    default_route = {"name": "default_deny", "match": {"prefix": "/"}, "direct_response": denied}
    hosts.append({"name": "default", "domains": ["*"], "routes": [default_route]})
    trace = build_tracing_config(name, "${TRACE_PERCENT}")
    manager = build_http_connection_manager("egress", [], {"virtual_hosts": hosts}, codec_type="HTTP2", tracing=trace)
    egress = build_listener("egress", build_private_socket(f"{name}-egress"), manager, traffic_direction="OUTBOUND")
    clusters = [build_otlp_cluster(), *(build_upstream_cluster(trust_domain, name, service) for service in granted)]
    return build_bootstrap(
        name, [egress | {"drain_type": "MODIFY_ONLY"}], clusters, build_private_socket(f"{name}-admin")
    )
