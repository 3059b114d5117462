"""Guests: callers that are no service of ours. The contract names them; each calls through a sidecar of its own."""

import re

from codegen.contracts import ContractError, Contracts
from codegen.envoy import ops
from codegen.envoy.common import Config, Profile, bootstrap, http_manager, listener, otlp_cluster, pipe, tracing
from codegen.envoy.sidecar import OPEN_STREAM, egress_route, targets, upstream

OPTIONS = "api-specs/proto/delivery/options/v1/options.proto"
RESERVED = frozenset({"app", "ca", "edge", "health", "jwks", "otlp", ops.NAME})
"""Names that certificates, clusters and sockets of the mesh have already."""


def names(contracts: Contracts, mesh: Config) -> list[str]:
    """The guests, in the order of the contract. Raises ContractError where callers, sidecars and events do not agree."""
    callers, sidecars = contracts.protos.callers, [name for name in mesh["sidecars"] if name != ops.NAME]
    for name in sidecars:
        if name not in callers:
            raise ContractError(
                f"envoy/mesh.yaml has the sidecar {name}; add CALLER_{name.upper()} to Caller in {OPTIONS}"
            )
    guests = [name for name in callers if name not in sidecars]
    for name in guests:
        check(contracts, sidecars, name)
    return guests


def check(contracts: Contracts, services: list[str], name: str) -> None:
    """Raises ContractError for a guest that could not be one."""
    caller = f"CALLER_{name.upper()}"
    if name in RESERVED or not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", name):
        raise ContractError(f"{OPTIONS}: {caller} cannot be a caller's name; the mesh needs {name!r} for itself")
    if not targets(contracts, name, services):
        raise ContractError(f"{OPTIONS}: {caller} may call nothing; name it in the `callers` of a method, or remove it")
    for event in contracts.protos.events:
        if event.producer == name:
            raise ContractError(f"{event.message}: {caller} has no outbox; only a service of envoy/mesh.yaml has")


def generate(contracts: Contracts, profile: Profile, trust_domain: str, services: list[str], name: str) -> Config:
    """The whole bootstrap: a way out by unix socket, and no way in. Not a port is needed, the admin's included.

    What is not granted goes to its service all the same, whose sidecar answers PERMISSION_DENIED; so does whoever
    is not called at all. In development the services that grant something also describe themselves by reflection.
    """
    granted = targets(contracts, name, services)
    denied = {"status": 403, "body": {"inline_string": f"no method of this service names {name} as a caller"}}
    hosts: list[Config] = [
        {
            "name": service,
            "domains": [service],
            "routes": [
                *(egress_route(service, method) for method in methods),
                {"name": "ungranted", "match": {"prefix": "/"}, "route": {"cluster": service, **OPEN_STREAM}},
            ],
        }
        for service, methods in granted.items()
    ]
    nothing = {"name": "ungranted", "match": {"prefix": "/"}, "direct_response": denied}
    hosts.append({"name": "elsewhere", "domains": ["*"], "routes": [nothing]})
    trace = tracing(name, "${TRACE_PERCENT}")
    manager = http_manager("egress", [], {"virtual_hosts": hosts}, codec_type="HTTP2", tracing=trace)
    way_out = listener("egress", private(f"{name}-egress"), manager, traffic_direction="OUTBOUND")
    clusters = [otlp_cluster(), *(upstream(trust_domain, name, service) for service in granted)]
    made = bootstrap(name, [way_out | {"drain_type": "MODIFY_ONLY"}], clusters)
    made["admin"]["address"] = private(f"{name}-admin")
    return made


def private(name: str) -> Config:
    """A unix socket for its owner only."""
    where = pipe(name)
    where["pipe"]["mode"] = 0o600
    return where
