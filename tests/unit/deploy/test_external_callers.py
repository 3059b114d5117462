"""Callers that are no service of ours join by name, once the contract knows them."""

from pathlib import Path

import pytest
import yaml
from cryptography import x509

from deploy import render_bootstrap
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki import external_callers
from deploy.local.pki.certificates import CertificateAuthority

METHOD = "delivery.partners.v1.PartnersService/ListCatalog"
ROUTES = [{"name": METHOD, "match": {"path": f"/{METHOD}"}}, {"name": "default_deny", "match": {"prefix": "/"}}]
HOSTS = {"route_config": {"virtual_hosts": [{"routes": ROUTES}]}}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    """A machine on which the contract knows a kiosk."""
    listener = {"filter_chains": [{"filters": [{"typed_config": HOSTS}]}]}
    bootstraps = tmp_path / "bootstraps/development"
    bootstraps.mkdir(parents=True)
    (bootstraps / "kiosk.yaml").write_text(yaml.safe_dump({"static_resources": {"listeners": [listener]}}))
    for name in ("gateway", "ops"):
        (bootstraps / f"{name}.yaml").write_text("")
    monkeypatch.setattr(render_bootstrap, "BOOTSTRAPS_DIR", bootstraps.parent)
    return MeshConfig({"DELIVERY_STATE": str(tmp_path / "state")})


def joined(state: MeshConfig) -> list[str]:
    return external_callers.list_enrolled_callers(state, CertificateAuthority(state.ensure_subdirectory("pki")))


def test_who_joins_has_an_identity_and_a_sidecar(state: MeshConfig, capsys: pytest.CaptureFixture[str]) -> None:
    assert joined(state) == []
    assert external_callers.enrol_caller(state, "kiosk") == 0
    assert joined(state) == ["kiosk"]
    said = capsys.readouterr().out
    for word in ("spiffe://delivery.local/kiosk", METHOD, "kiosk-egress.sock", "make up"):
        assert word in said
    certificate = x509.load_pem_x509_certificate((state.folder / "pki/kiosk.pem").read_bytes())
    (name,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert name.value == "spiffe://delivery.local/kiosk"
    assert (state.folder / "envoy/kiosk.yaml").exists()


def test_joining_again_changes_nothing(state: MeshConfig) -> None:
    external_callers.enrol_caller(state, "kiosk")
    before = (state.folder / "pki/kiosk.pem").read_bytes()
    assert external_callers.enrol_caller(state, "kiosk") == 0
    assert (state.folder / "pki/kiosk.pem").read_bytes() == before


def test_a_new_authority_takes_its_guests_over(state: MeshConfig) -> None:
    external_callers.enrol_caller(state, "kiosk")
    (state.folder / "pki/ca.key").unlink()
    assert joined(state) == ["kiosk"]
    certificate = x509.load_pem_x509_certificate((state.folder / "pki/kiosk.pem").read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate((state.folder / "pki/ca.pem").read_bytes()))


def test_who_is_no_caller_any_more_is_left_out(state: MeshConfig) -> None:
    external_callers.enrol_caller(state, "kiosk")
    (render_bootstrap.BOOTSTRAPS_DIR / "development/kiosk.yaml").unlink()
    assert joined(state) == []


@pytest.mark.parametrize(
    ("name", "word"), [("nobody", "add CALLER_NOBODY"), ("ops", "envoy/mesh.yaml"), ("ca", "add CALLER_CA")]
)
def test_who_is_not_known_gets_nothing(
    state: MeshConfig, capsys: pytest.CaptureFixture[str], name: str, word: str
) -> None:
    CertificateAuthority(state.ensure_subdirectory("pki"))
    before = sorted(state.ensure_subdirectory("pki").iterdir())
    assert external_callers.enrol_caller(state, name) == 1
    assert word in capsys.readouterr().err
    assert sorted(state.ensure_subdirectory("pki").iterdir()) == before
