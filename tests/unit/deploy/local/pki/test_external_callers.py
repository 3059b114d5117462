"""Enrolment of external callers that the contract declares."""

import json
from pathlib import Path

import pytest
from cryptography import x509

from deploy import render_bootstrap
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki import external_callers
from deploy.local.pki.certificates import CertificateAuthority

METHOD = "delivery.partners.v1.PartnersService/ListCatalog"
ROUTES = [{"name": METHOD, "match": {"path": f"/{METHOD}"}}, {"name": "default_deny", "match": {"prefix": "/"}}]
HOSTS = {"route_config": {"virtual_hosts": [{"routes": ROUTES}]}}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    """Return the configuration of a mesh whose contract declares the external caller `kiosk`."""
    listener = {"filter_chains": [{"filters": [{"typed_config": HOSTS}]}]}
    bootstraps = tmp_path / "bootstraps/development"
    bootstraps.mkdir(parents=True)
    (bootstraps / "kiosk.json").write_text(
        json.dumps({"static_resources": {"listeners": [listener]}}), encoding="utf-8"
    )
    for name in ("gateway", "ops"):
        (bootstraps / f"{name}.json").write_text("", encoding="utf-8")
    monkeypatch.setattr(render_bootstrap, "BOOTSTRAPS_DIR", bootstraps.parent)
    return MeshConfig({"DELIVERY_STATE": str(tmp_path / "state")})


def list_enrolled(config: MeshConfig) -> list[str]:
    return external_callers.list_enrolled_callers(config, CertificateAuthority(config.ensure_subdirectory("pki")))


def test_add_caller_creates_certificate_and_bootstrap(config: MeshConfig, capsys: pytest.CaptureFixture[str]) -> None:
    assert list_enrolled(config) == []
    assert external_callers.add_caller(config, "kiosk") == 0
    assert list_enrolled(config) == ["kiosk"]
    output = capsys.readouterr().out
    for text in ("spiffe://delivery.local/kiosk", METHOD, "kiosk-egress.sock", "make up"):
        assert text in output
    certificate = x509.load_pem_x509_certificate((config.folder / "pki/kiosk.pem").read_bytes())
    (name,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert name.value == "spiffe://delivery.local/kiosk"
    assert (config.folder / "envoy/kiosk.json").exists()


def test_add_caller_is_idempotent(config: MeshConfig) -> None:
    external_callers.add_caller(config, "kiosk")
    before = (config.folder / "pki/kiosk.pem").read_bytes()
    assert external_callers.add_caller(config, "kiosk") == 0
    assert (config.folder / "pki/kiosk.pem").read_bytes() == before


def test_new_ca_reissues_certificates_of_callers(config: MeshConfig) -> None:
    external_callers.add_caller(config, "kiosk")
    (config.folder / "pki/ca.key").unlink()
    assert list_enrolled(config) == ["kiosk"]
    certificate = x509.load_pem_x509_certificate((config.folder / "pki/kiosk.pem").read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate((config.folder / "pki/ca.pem").read_bytes()))


def test_undeclared_caller_is_not_listed(config: MeshConfig) -> None:
    external_callers.add_caller(config, "kiosk")
    (render_bootstrap.BOOTSTRAPS_DIR / "development/kiosk.json").unlink()
    assert list_enrolled(config) == []


@pytest.mark.parametrize(
    ("name", "message"), [("unknown", "add CALLER_UNKNOWN"), ("ops", "envoy/mesh.yaml"), ("ca", "add CALLER_CA")]
)
def test_add_unknown_caller_creates_no_files(
    config: MeshConfig, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    CertificateAuthority(config.ensure_subdirectory("pki"))
    before = sorted(config.ensure_subdirectory("pki").iterdir())
    assert external_callers.add_caller(config, name) == 1
    assert message in capsys.readouterr().err
    assert sorted(config.ensure_subdirectory("pki").iterdir()) == before


def test_renewal_covers_sidecars_edge_and_callers(config: MeshConfig) -> None:
    external_callers.add_caller(config, "kiosk")
    for name in ("orders", "edge", "kiosk"):
        (config.folder / f"pki/{name}.pem").unlink(missing_ok=True)
    external_callers.ensure_certificates(config)
    assert {"orders.pem", "edge.pem", "kiosk.pem"} <= {path.name for path in (config.folder / "pki").iterdir()}
