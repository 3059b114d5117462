"""Guests: callers that are no service of ours. The contract names them; each calls through a sidecar of its own."""

import re

from codegen.contracts import ContractError, Contracts
from codegen.envoy import operator_proxy
from codegen.envoy.common import (
    Config,
    Profile,
    bootstrap,
    http_connection_manager,
    listener,
    otlp_cluster,
    tracing_config,
    unix_address,
)
from codegen.envoy.sidecar import NO_ROUTE_TIMEOUT, egress_route, granted_methods, upstream_cluster

OPTIONS_PROTO = "api-specs/proto/delivery/options/v1/options.proto"
RESERVED_NAMES = frozenset({"app", "ca", "edge", "health", "jwks", "otlp", operator_proxy.SIDECAR_NAME})
"""Names that certificates, clusters and sockets of the mesh have already."""


def list_names(contracts: Contracts, mesh: Config) -> list[str]:
    """The guests, in the order of the contract. Raises ContractError where callers, sidecars and events do not agree."""
    callers, sidecars = (
        contracts.protos.callers,
        [name for name in mesh["sidecars"] if name != operator_proxy.SIDECAR_NAME],
    )
    for name in sidecars:
        if name not in callers:
            raise ContractError(
                f"envoy/mesh.yaml has the sidecar {name}; add CALLER_{name.upper()} to Caller in {OPTIONS_PROTO}"
            )
    guests = [name for name in callers if name not in sidecars]
    for name in guests:
        validate_caller(contracts, sidecars, name)
    return guests


def validate_caller(contracts: Contracts, services: list[str], name: str) -> None:
    """Raises ContractError for a guest that could not be one."""
    caller = f"CALLER_{name.upper()}"
    if name in RESERVED_NAMES or not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", name):
        raise ContractError(f"{OPTIONS_PROTO}: {caller} cannot be a caller's name; the mesh needs {name!r} for itself")
    if not granted_methods(contracts, name, services):
        raise ContractError(
            f"{OPTIONS_PROTO}: {caller} may call nothing; name it in the `callers` of a method, or remove it"
        )
    for event in contracts.protos.events:
        if event.producer == name:
            raise ContractError(f"{event.message}: {caller} has no outbox; only a service of envoy/mesh.yaml has")


def generate(contracts: Contracts, profile: Profile, trust_domain: str, services: list[str], name: str) -> Config:
    """The whole bootstrap: a way out by unix socket, and no way in. Not a port is needed, the admin's included.

    What is not granted goes to its service all the same, whose sidecar answers PERMISSION_DENIED; so does whoever
    is not called at all. In development the services that grant something also describe themselves by reflection.
    """
    granted = granted_methods(contracts, name, services)
    denied = {"status": 403, "body": {"inline_string": f"no method of this service names {name} as a caller"}}
    hosts: list[Config] = [
        {
            "name": service,
            "domains": [service],
            "routes": [
                *(egress_route(service, method) for method in methods),
                {"name": "default_deny", "match": {"prefix": "/"}, "route": {"cluster": service, **NO_ROUTE_TIMEOUT}},
            ],
        }
        for service, methods in granted.items()
    ]
    nothing = {"name": "default_deny", "match": {"prefix": "/"}, "direct_response": denied}
    hosts.append({"name": "elsewhere", "domains": ["*"], "routes": [nothing]})
    trace = tracing_config(name, "${TRACE_PERCENT}")
    manager = http_connection_manager("egress", [], {"virtual_hosts": hosts}, codec_type="HTTP2", tracing=trace)
    way_out = listener("egress", private_socket(f"{name}-egress"), manager, traffic_direction="OUTBOUND")
    clusters = [otlp_cluster(), *(upstream_cluster(trust_domain, name, service) for service in granted)]
    made = bootstrap(name, [way_out | {"drain_type": "MODIFY_ONLY"}], clusters)
    made["admin"]["address"] = private_socket(f"{name}-admin")
    return made


def private_socket(name: str) -> Config:
    """A unix socket for its owner only."""
    where = unix_address(name)
    where["pipe"]["mode"] = 0o600
    return where
