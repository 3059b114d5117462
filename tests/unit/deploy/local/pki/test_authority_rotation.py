"""Rotation of the local certificate authority: overlap, continuation, and the check of loaded files."""

import base64
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from deploy.local.pki import authority_rotation
from deploy.local.pki.authority_rotation import FilesNotLoaded, has_loaded_files, rotate_authority
from deploy.local.pki.certificates import CertificateAuthority


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    authority = CertificateAuthority(tmp_path)
    authority.ensure_certificates()
    return authority


def load_trusted(authority: CertificateAuthority) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((authority.folder / "ca.pem").read_bytes())


def load_leaf(authority: CertificateAuthority, name: str = "orders") -> x509.Certificate:
    return x509.load_pem_x509_certificate((authority.folder / f"{name}.pem").read_bytes())


def test_both_authorities_are_trusted_until_all_certificates_are_new(authority: CertificateAuthority) -> None:
    [old] = load_trusted(authority)
    trusted: list[int] = []

    def check_overlap() -> None:
        new, previous = load_trusted(authority)
        assert previous == old
        load_leaf(authority).verify_directly_issued_by(new if trusted else old)
        trusted.append(new.serial_number)

    rotate_authority(authority, check_overlap)
    [new] = load_trusted(authority)
    assert trusted == [new.serial_number] * 2
    for name in ("orders", "edge"):
        load_leaf(authority, name).verify_directly_issued_by(new)


def test_new_certificates_have_the_names_of_the_old_ones(authority: CertificateAuthority) -> None:
    def get_names() -> list[x509.GeneralName]:
        return [
            *load_leaf(authority, "edge").extensions.get_extension_for_class(x509.SubjectAlternativeName).value,
            *load_leaf(authority).extensions.get_extension_for_class(x509.SubjectAlternativeName).value,
        ]

    names = get_names()
    rotate_authority(authority, lambda: None)
    assert get_names() == names


def test_interrupted_rotation_is_continued(authority: CertificateAuthority) -> None:
    def fail() -> None:
        raise FilesNotLoaded

    with pytest.raises(FilesNotLoaded):
        rotate_authority(authority, fail)
    new, _ = load_trusted(authority)
    restarted = CertificateAuthority(authority.folder)
    restarted.ensure_certificates()
    rotate_authority(restarted, lambda: None)
    assert load_trusted(authority) == [new]


def test_certificates_renewed_during_a_rotation_have_the_current_issuer(authority: CertificateAuthority) -> None:
    [old] = load_trusted(authority)
    authority.start_rotation()
    CertificateAuthority(authority.folder).issue_certificate("orders", [x509.DNSName("localhost")])
    load_leaf(authority).verify_directly_issued_by(old)


@pytest.mark.parametrize("changed", ["", "ca", "orders"])
def test_files_are_loaded_if_all_secrets_equal_them(authority: CertificateAuthority, changed: str) -> None:
    def encode(name: str) -> dict[str, str]:
        content = b"old" if name == changed else (authority.folder / f"{name}.pem").read_bytes()
        return {"inline_bytes": base64.b64encode(content).decode()}

    configs = [
        {"name": "ca", "secret": {"validation_context": {"trusted_ca": encode("ca")}}},
        {"name": "orders", "secret": {"tls_certificate": {"certificate_chain": encode("orders")}}},
    ]
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"configs": configs}))
    with httpx.Client(transport=transport, base_url="http://admin") as client:
        assert has_loaded_files(client, authority.folder) == (not changed)


def test_command_requires_a_running_mesh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    assert authority_rotation.main() == 1
    assert "not running" in capsys.readouterr().err
