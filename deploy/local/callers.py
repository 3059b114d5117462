"""Callers that are no service of ours: each gets a certificate of the mesh's authority, and a sidecar of its own."""

import sys

import yaml
from cryptography import x509

from deploy import bootstrap
from deploy.local import envoys
from deploy.local.pki import Authority
from deploy.local.report import alive, read_report
from deploy.local.state import ROOT, State

OPTIONS = "api-specs/proto/delivery/options/v1/options.proto"


def known(authority: Authority) -> list[str]:
    """The guests that the contract names, and `make generate` therefore wrote a bootstrap for."""
    return sorted(
        {path.stem for path in (bootstrap.BOOTSTRAPS / envoys.PROFILE).glob("*.yaml")} - {*authority.sidecars}
    )


def joined(state: State, authority: Authority) -> list[str]:
    """Those of them that were issued a certificate on this machine; it lasts from now on."""
    names = [name for name in known(authority) if (state.sub("pki") / f"{name}.key").exists()]
    for name in names:
        authority.ensure_sidecar(name)
    return names


def granted(name: str) -> list[str]:
    """What the contract lets a guest call: "delivery.partners.v1.PartnersService/ListCatalog"."""
    made = yaml.safe_load((bootstrap.BOOTSTRAPS / envoys.PROFILE / f"{name}.yaml").read_text())
    (way_out,) = made["static_resources"]["listeners"]
    hosts = way_out["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    return [route["name"] for host in hosts for route in host["routes"] if "path" in route["match"]]


def join(state: State, name: str) -> int:
    """Issues the certificate, fills in the bootstrap, and says what is left to do; the exit code."""
    authority = Authority(state.sub("pki"))
    if name in authority.sidecars:
        print(f"{name} is a sidecar of envoy/mesh.yaml; `make up` issues its certificate", file=sys.stderr)
        return 1
    if name not in known(authority):
        print(
            f"the contract knows no caller {name}; add CALLER_{name.upper()} to Caller in {OPTIONS},\n"
            "name it in the `callers` of the methods it may call, then: make generate",
            file=sys.stderr,
        )
        return 1
    identity = authority.ensure_sidecar(name)
    certificate = state.sub("pki") / f"{name}.pem"
    ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    print(f"identity     {identity}, until {ends:%Y-%m-%d}")
    print(f"certificate  {_near(certificate)}, its key beside it")
    print(f"sidecar      {_near(envoys.render(state, name))}")
    print(f"way out      unix:{_near(state.run / f'{name}-egress.sock')}")
    for method in granted(name):
        print(f"may call     {method}")
    print(
        "next         " + ("make down up" if alive(read_report(state)) else "make up") + ", which runs the sidecar, too"
    )
    return 0


def _near(path: object) -> str:
    """Below the checkout, as one would type it there."""
    return str(path).removeprefix(f"{ROOT}/")
