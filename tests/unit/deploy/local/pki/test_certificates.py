"""Local certificates: subject, issuer, usage, file modes and renewal."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from deploy.local.mesh_config import OPERATOR_SIDECAR, SERVICES
from deploy.local.pki import certificates
from deploy.local.pki.certificates import CertificateAuthority

NAMES = [*SERVICES, OPERATOR_SIDECAR]


def load_certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


def get_subject_alt_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    CertificateAuthority(tmp_path).ensure_certificates()
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_sidecar_certificate_has_only_spiffe_id(folder: Path, name: str) -> None:
    names = get_subject_alt_names(load_certificate(folder, name))
    assert [value.value for value in names] == [f"spiffe://delivery.local/{name}"]


def test_edge_certificate_is_for_localhost(folder: Path) -> None:
    names = get_subject_alt_names(load_certificate(folder, "edge"))
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


@pytest.mark.parametrize("name", [*NAMES, "edge"])
def test_leaf_certificates_allow_server_and_client_authentication(folder: Path, name: str) -> None:
    certificate = load_certificate(folder, name)
    certificate.verify_directly_issued_by(load_certificate(folder, "ca"))
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_ca_certificate_has_path_length_zero(folder: Path) -> None:
    constraints = load_certificate(folder, "ca").extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)


def test_keys_are_readable_by_owner_only(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    keys = {path.stem: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")}
    assert keys == dict.fromkeys([*NAMES, "edge", "ca"], 0o600)


def test_valid_certificates_are_not_renewed(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    CertificateAuthority(folder).ensure_certificates()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_expiring_certificates_are_renewed_by_same_ca(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = CertificateAuthority(folder)
    with monkeypatch.context() as patched:
        patched.setattr(certificates, "CERTIFICATE_LIFETIME", certificates.RENEW_BEFORE - timedelta(hours=1))
        authority.issue_certificate("orders", list(get_subject_alt_names(load_certificate(folder, "orders"))))
    before = {name: load_certificate(folder, name).serial_number for name in [*NAMES, "ca"]}
    CertificateAuthority(folder).ensure_certificates()
    after = {name: load_certificate(folder, name).serial_number for name in [*NAMES, "ca"]}
    assert {name for name in before if before[name] != after[name]} == {"orders"}
    assert [value.value for value in get_subject_alt_names(load_certificate(folder, "orders"))] == [
        "spiffe://delivery.local/orders"
    ]


def test_missing_key_is_recreated(folder: Path) -> None:
    (folder / "partners.key").unlink()
    CertificateAuthority(folder).ensure_certificates()
    assert (folder / "partners.key").exists()


@pytest.mark.parametrize("name", ["partners", "edge"])
def test_certificate_of_another_key_is_issued_again(folder: Path, name: str) -> None:
    (folder / f"{name}.key").write_bytes((folder / "orders.key").read_bytes())
    CertificateAuthority(folder).ensure_certificates()
    key = load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
    assert load_certificate(folder, name).public_key() == key.public_key()


def test_new_ca_reissues_all_certificates(folder: Path) -> None:
    (folder / "ca.key").unlink()
    CertificateAuthority(folder).ensure_certificates()
    authority = load_certificate(folder, "ca")
    for name in [*NAMES, "edge"]:
        load_certificate(folder, name).verify_directly_issued_by(authority)
