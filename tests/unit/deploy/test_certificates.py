"""Certificates of one machine: whose they are, who signed them, and when they are made anew."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from deploy.local.pki import certificates
from deploy.local.pki.certificates import CertificateAuthority

NAMES = ["gateway", "orders", "partners", "notifications", "ops"]


def read(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


def names_of(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    CertificateAuthority(tmp_path).ensure_certificates()
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_a_sidecars_only_name_is_its_spiffe_id(folder: Path, name: str) -> None:
    names = names_of(read(folder, name))
    assert [value.value for value in names] == [f"spiffe://delivery.local/{name}"]


def test_the_edges_names_are_this_machines(folder: Path) -> None:
    names = names_of(read(folder, "edge"))
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


@pytest.mark.parametrize("name", [*NAMES, "edge"])
def test_the_authority_signed_it_for_both_ends_of_a_connection(folder: Path, name: str) -> None:
    certificate = read(folder, name)
    certificate.verify_directly_issued_by(read(folder, "ca"))
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_cannot_sign_others(folder: Path) -> None:
    constraints = read(folder, "ca").extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)


def test_only_their_owner_reads_the_keys(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    keys = {path.stem: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")}
    assert keys == dict.fromkeys([*NAMES, "edge", "ca"], 0o600)


def test_what_lasts_is_kept(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    CertificateAuthority(folder).ensure_certificates()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_ends_soon_is_made_anew_by_the_same_authority(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = CertificateAuthority(folder)
    with monkeypatch.context() as patched:
        patched.setattr(certificates, "CERTIFICATE_LIFETIME", certificates.RENEW_BEFORE - timedelta(hours=1))
        authority.issue_certificate("orders", list(names_of(read(folder, "orders"))))
    before = {name: read(folder, name).serial_number for name in [*NAMES, "ca"]}
    CertificateAuthority(folder).ensure_certificates()
    after = {name: read(folder, name).serial_number for name in [*NAMES, "ca"]}
    assert {name for name in before if before[name] != after[name]} == {"orders"}
    assert [value.value for value in names_of(read(folder, "orders"))] == ["spiffe://delivery.local/orders"]


def test_a_lost_key_is_made_anew(folder: Path) -> None:
    (folder / "partners.key").unlink()
    CertificateAuthority(folder).ensure_certificates()
    assert (folder / "partners.key").exists()


def test_a_new_authority_signs_everything_anew(folder: Path) -> None:
    (folder / "ca.key").unlink()
    CertificateAuthority(folder).ensure_certificates()
    authority = read(folder, "ca")
    for name in [*NAMES, "edge"]:
        read(folder, name).verify_directly_issued_by(authority)
