"""Generator of the Envoy bootstraps from the contracts and `envoy/mesh.yaml`; machine settings are placeholders."""

import json
import re
from collections.abc import Mapping
from typing import Any

from codegen.contracts import Contracts, Files
from codegen.envoy import admin, edge, external_callers, lint, operator_proxy, overload, sidecar
from codegen.envoy.common import Config, Profile, build_bootstrap
from codegen.errors import ContractErrors
from codegen.mesh import GATEWAY, OPERATOR_SIDECAR, insert_name, list_callees, list_services

PROFILES = (Profile("development"), Profile("production"))


def build_service_bootstrap(contracts: Contracts, profile: Profile, mesh: Mapping[str, Any], name: str) -> Config:
    """Return the bootstrap of a service's sidecar."""
    trust_domain = mesh["trust_domain"]
    services = list_callees(mesh)
    inbound = (
        edge.build_listeners(contracts, profile)
        if name == GATEWAY
        else [sidecar.build_ingress_listener(contracts, profile, trust_domain, name, mesh["sidecars"])]
    )
    bootstrap = build_bootstrap(
        name,
        [
            *inbound,
            *sidecar.build_egress_listeners(contracts, name, services),
            sidecar.build_probe_listener(name),
            *admin.build_admin_listeners(name, profile),
        ],
        sidecar.build_clusters(contracts, profile, trust_domain, name, services),
        admin.build_admin_address(name, profile),
    )
    return bootstrap | ({"overload_manager": overload.build_overload_manager()} if name == GATEWAY else {})


def generate(contracts: Contracts) -> Files:
    """Generate `envoy/<profile>/<sidecar>.json`; the operator proxy exists in development only.

    The files are JSON, as Envoy reads YAML with several times the memory, and does not return it to the system.
    Placeholders are quoted in place of numbers too: Protobuf's JSON format accepts numbers as strings.
    """
    mesh = contracts.mesh
    services, callees = list_services(mesh), list_callees(mesh)
    files: Files = {}
    errors = ContractErrors()
    for profile in PROFILES:
        bootstraps = {name: build_service_bootstrap(contracts, profile, mesh, name) for name in services}
        for name in external_callers.list_names(contracts, mesh):
            bootstraps[name] = external_callers.generate(contracts, profile, mesh["trust_domain"], callees, name)
        if profile.is_development:
            bootstraps[OPERATOR_SIDECAR] = operator_proxy.generate(contracts, profile, mesh["trust_domain"], callees)
        for name, config in bootstraps.items():
            with errors.collect():
                lint.check(contracts, f"{profile.name}/{name}", config)
            text = json.dumps(insert_name(config, contracts.name), indent=1, ensure_ascii=False) + "\n"
            for setting in sorted(set(re.findall(r"\$\{(\w+)\}", text)) - mesh["settings"].keys()):
                errors.add(f"envoy/mesh.yaml does not define the setting {setting}; add it to `settings`")
            files[f"envoy/{profile.name}/{name}.json"] = text
    errors.raise_if_any()
    return files
