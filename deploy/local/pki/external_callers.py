"""Callers that are no service of ours: each gets a certificate of the mesh's authority, and a sidecar of its own."""

import sys

import yaml
from cryptography import x509

from deploy import render_bootstrap
from deploy.local.infrastructure import envoys
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.supervisor.supervisor_state import is_supervisor_alive, read_supervisor_state

OPTIONS_PROTO = "api-specs/proto/delivery/options/v1/options.proto"


def list_declared_callers(authority: CertificateAuthority) -> list[str]:
    """The guests that the contract names, and `make generate` therefore wrote a bootstrap for."""
    return sorted(
        {path.stem for path in (render_bootstrap.BOOTSTRAPS_DIR / envoys.PROFILE).glob("*.yaml")}
        - {*authority.sidecars}
    )


def list_enrolled_callers(config: MeshConfig, authority: CertificateAuthority) -> list[str]:
    """Those of them that were issued a certificate on this machine; it lasts from now on."""
    names = [
        name
        for name in list_declared_callers(authority)
        if (config.ensure_subdirectory("pki") / f"{name}.key").exists()
    ]
    for name in names:
        authority.ensure_sidecar_certificate(name)
    return names


def list_granted_methods(name: str) -> list[str]:
    """What the contract lets a guest call: "delivery.partners.v1.PartnersService/ListCatalog"."""
    made = yaml.safe_load((render_bootstrap.BOOTSTRAPS_DIR / envoys.PROFILE / f"{name}.yaml").read_text())
    (way_out,) = made["static_resources"]["listeners"]
    hosts = way_out["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    return [route["name"] for host in hosts for route in host["routes"] if "path" in route["match"]]


def enrol_caller(config: MeshConfig, name: str) -> int:
    """Issues the certificate, fills in the bootstrap, and says what is left to do; the exit code."""
    authority = CertificateAuthority(config.ensure_subdirectory("pki"))
    if name in authority.sidecars:
        print(f"{name} is a sidecar of envoy/mesh.yaml; `make up` issues its certificate", file=sys.stderr)
        return 1
    if name not in list_declared_callers(authority):
        print(
            f"the contract knows no caller {name}; add CALLER_{name.upper()} to Caller in {OPTIONS_PROTO},\n"
            "name it in the `callers` of the methods it may call, then: make generate",
            file=sys.stderr,
        )
        return 1
    identity = authority.ensure_sidecar_certificate(name)
    certificate = config.ensure_subdirectory("pki") / f"{name}.pem"
    ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    print(f"identity     {identity}, until {ends:%Y-%m-%d}")
    print(f"certificate  {_relative_path(certificate)}, its key beside it")
    print(f"sidecar      {_relative_path(envoys.write_bootstrap(config, name))}")
    print(f"way out      unix:{_relative_path(config.socket_dir / f'{name}-egress.sock')}")
    for method in list_granted_methods(name):
        print(f"may call     {method}")
    print(
        "next         "
        + ("make down up" if is_supervisor_alive(read_supervisor_state(config)) else "make up")
        + ", which runs the sidecar, too"
    )
    return 0


def _relative_path(path: object) -> str:
    """Below the checkout, as one would type it there."""
    return str(path).removeprefix(f"{ROOT}/")
