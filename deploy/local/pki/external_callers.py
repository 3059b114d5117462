"""External callers: clients outside the mesh's services, each with a certificate and a sidecar."""

import json
import sys

from cryptography import x509

from deploy import render_bootstrap
from deploy.local.infrastructure import envoys
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.supervisor.supervisor_state import is_supervisor_alive, read_supervisor_state

OPTIONS_PROTO = "api-specs/proto/delivery/options/v1/options.proto"


def list_declared_callers(authority: CertificateAuthority) -> list[str]:
    """Return the external callers of the contract, for which `make generate` writes bootstraps."""
    return sorted(
        {path.stem for path in (render_bootstrap.BOOTSTRAPS_DIR / envoys.PROFILE).glob("*.json")}
        - {*authority.sidecars}
    )


def list_enrolled_callers(config: MeshConfig, authority: CertificateAuthority) -> list[str]:
    """Return the external callers with a certificate on this machine, and renew expiring certificates."""
    names = [
        name
        for name in list_declared_callers(authority)
        if (config.ensure_subdirectory("pki") / f"{name}.key").exists()
    ]
    for name in names:
        authority.ensure_sidecar_certificate(name)
    return names


def ensure_certificates(config: MeshConfig) -> None:
    """Create or renew the certificates of all sidecars and of the edge; a running Envoy serves them at once."""
    authority = CertificateAuthority(config.ensure_subdirectory("pki"))
    authority.ensure_certificates()
    list_enrolled_callers(config, authority)


def list_granted_methods(name: str) -> list[str]:
    """Return the methods that the contract grants, such as "delivery.partners.v1.PartnersService/ListCatalog"."""
    path = render_bootstrap.BOOTSTRAPS_DIR / envoys.PROFILE / f"{name}.json"
    bootstrap = json.loads(path.read_text(encoding="utf-8"))
    (egress,) = bootstrap["static_resources"]["listeners"]
    hosts = egress["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    return [route["name"] for host in hosts for route in host["routes"] if "path" in route["match"]]


def add_caller(config: MeshConfig, name: str) -> int:
    """Issue an external caller's certificate, render its bootstrap and print both. Return the exit code."""
    authority = CertificateAuthority(config.ensure_subdirectory("pki"))
    if name in authority.sidecars:
        print(f"{name} is a sidecar of envoy/mesh.yaml; `make up` issues its certificate", file=sys.stderr)
        return 1
    if name not in list_declared_callers(authority):
        print(
            f"the contract defines no caller {name}; add CALLER_{name.upper()} to Caller in {OPTIONS_PROTO},\n"
            "add it to the `callers` of the methods it may call, then run: make generate",
            file=sys.stderr,
        )
        return 1
    identity = authority.ensure_sidecar_certificate(name)
    certificate = config.ensure_subdirectory("pki") / f"{name}.pem"
    expires_at = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    print(f"identity     {identity}, expires on {expires_at:%Y-%m-%d}")
    print(f"certificate  {_format_relative_path(certificate)}, with its key in the same folder")
    print(f"sidecar      {_format_relative_path(envoys.write_bootstrap(config, name))}")
    print(f"egress       unix:{_format_relative_path(config.socket_dir / f'{name}-egress.sock')}")
    for method in list_granted_methods(name):
        print(f"may call     {method}")
    print(
        "next         "
        + ("make down up" if is_supervisor_alive(read_supervisor_state(config)) else "make up")
        + ", which also starts the sidecar"
    )
    return 0


def _format_relative_path(path: object) -> str:
    """Return a path relative to the repository, if it is below it."""
    return str(path).removeprefix(f"{ROOT}/")
