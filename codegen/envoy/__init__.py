"""Every Envoy's bootstrap, from the contracts and `envoy/mesh.yaml`. What differs from machine to machine is a placeholder."""

import re
from pathlib import Path
from typing import Any

import yaml

from codegen.contracts import ContractError, Contracts, Files
from codegen.envoy import edge, external_callers, lint, operator_proxy, sidecar
from codegen.envoy.common import Config, Profile, bootstrap

MESH_FILE = Path(__file__).parents[2] / "envoy/mesh.yaml"
PROFILES = (Profile("development"), Profile("production"))
HEADER = "# Written by `make generate` from api-specs and envoy/mesh.yaml. Do not edit. ${NAME} is filled in where the mesh runs.\n"


class _NoAliasDumper(yaml.CSafeDumper):
    """Writes shared parts in full; Envoy reads no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def service_bootstrap(contracts: Contracts, profile: Profile, mesh: Config, name: str) -> Config:
    """The bootstrap of one service's sidecar."""
    trust_domain, services = (
        mesh["trust_domain"],
        [s for s in mesh["sidecars"] if s not in ("gateway", operator_proxy.SIDECAR_NAME)],
    )
    front = (
        edge.listeners(contracts, profile)
        if name == "gateway"
        else [sidecar.ingress_listener(contracts, profile, trust_domain, name, mesh["sidecars"])]
    )
    return bootstrap(
        name,
        [*front, *sidecar.egress_listeners(contracts, name, services), sidecar.probe_listener(name)],
        sidecar.clusters(contracts, profile, trust_domain, name, services),
    )


def generate(contracts: Contracts) -> Files:
    """`generated/envoy/<profile>/<sidecar>.yaml`; operators have one in development only."""
    mesh: Config = yaml.safe_load(MESH_FILE.read_text())
    services = [name for name in mesh["sidecars"] if name != operator_proxy.SIDECAR_NAME]
    files: Files = {}
    for profile in PROFILES:
        made = {name: service_bootstrap(contracts, profile, mesh, name) for name in services}
        callees = [name for name in services if name != "gateway"]
        for name in external_callers.list_names(contracts, mesh):
            made[name] = external_callers.generate(contracts, profile, mesh["trust_domain"], callees, name)
        if profile.is_development:
            made[operator_proxy.SIDECAR_NAME] = operator_proxy.generate(
                contracts, profile, mesh["trust_domain"], callees
            )
        for name, config in made.items():
            lint.check(contracts, f"{profile.name}/{name}", config)
            text = HEADER + yaml.dump(config, Dumper=_NoAliasDumper, sort_keys=False, width=120)
            if unknown := set(re.findall(r"\$\{(\w+)\}", text)) - mesh["settings"].keys() - {"NAME"}:
                raise ContractError(f"envoy/mesh.yaml has no setting {', '.join(sorted(unknown))}")
            files[f"envoy/{profile.name}/{name}.yaml"] = text
    return files
