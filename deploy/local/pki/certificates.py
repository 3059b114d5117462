"""Local certificate authority, and a certificate with a SPIFFE id for every sidecar."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.mesh_config import ROOT
from deploy.local.pki.secrets import write_private

CA_LIFETIME = timedelta(days=3650)
CERTIFICATE_LIFETIME = timedelta(days=90)
_CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
RENEW_BEFORE = timedelta(days=30)
"""Remaining lifetime below which a certificate is renewed."""


NEXT_KEY = "next-ca.key"
"""File name of the key of a new authority that is trusted, but does not issue certificates yet."""


class CertificateAuthority:
    """Certificate authority whose certificate and key are stored in a folder.

    During a rotation, `ca.pem` contains the certificates of all trusted authorities, the newest first. `ca.key` belongs
    to the one that issues certificates.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        mesh = yaml.load((ROOT / "envoy/mesh.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        self.trust_domain: str = mesh["trust_domain"]
        self.sidecars: list[str] = mesh["sidecars"]
        if not _is_valid_long_enough(folder / "ca.pem") or not _has_key_identifier(folder / "ca.pem"):
            self._create_ca_certificate()
        self._load_issuer()

    def _load_issuer(self) -> None:
        key = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.folder / 'ca.key'} is not an elliptic curve key")
        authorities = x509.load_pem_x509_certificates((self.folder / "ca.pem").read_bytes())
        self._key = key
        self._certificate = next(each for each in authorities if each.public_key() == key.public_key())
        identifier = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        self._key_identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)

    def ensure_certificates(self) -> None:
        """Create missing and renew expiring certificates of the sidecars, and of the edge for localhost."""
        for name in self.sidecars:
            self.ensure_sidecar_certificate(name)
        if not _is_usable(self.folder / "edge.pem"):
            loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            self.issue_certificate("edge", [x509.DNSName("localhost"), loopback])

    def ensure_sidecar_certificate(self, name: str) -> str:
        """Create or renew a sidecar's certificate if necessary, and return its SPIFFE id."""
        identity = f"spiffe://{self.trust_domain}/{name}"
        if not _is_usable(self.folder / f"{name}.pem"):
            self.issue_certificate(name, [x509.UniformResourceIdentifier(identity)])
        return identity

    def issue_certificate(self, name: str, subject_alt_names: list[x509.GeneralName]) -> None:
        """Issue a certificate and write `<name>.pem` and `<name>.key`."""
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _create_builder(name, CERTIFICATE_LIFETIME)
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName(subject_alt_names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(self._key_identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        _write_certificate(self.folder, name, key, certificate)

    def start_rotation(self) -> None:
        """Create a new authority, and trust it as well. An interrupted rotation is continued."""
        if (self.folder / NEXT_KEY).exists():
            return
        key, certificate = _create_authority()
        trusted = (self.folder / "ca.pem").read_text(encoding="utf-8")
        write_private(self.folder / "ca.pem", _encode_certificate(certificate) + trusted)
        write_private(self.folder / NEXT_KEY, _encode_key(key))

    def issue_with_new_authority(self) -> None:
        """Issue all certificates again, with the new authority. All processes must trust it."""
        (self.folder / NEXT_KEY).replace(self.folder / "ca.key")
        self._load_issuer()
        for path in sorted(self.folder.glob("*.pem")):
            if path.stem != "ca":
                names = x509.load_pem_x509_certificate(path.read_bytes()).extensions.get_extension_for_class(
                    x509.SubjectAlternativeName
                )
                self.issue_certificate(path.stem, [*names.value])

    def finish_rotation(self) -> None:
        """Trust the new authority only. All processes must have certificates of it."""
        write_private(self.folder / "ca.pem", _encode_certificate(self._certificate))

    def _create_ca_certificate(self) -> None:
        key, certificate = _create_authority()
        for old in self.folder.glob("*.pem"):
            old.unlink()
        (self.folder / NEXT_KEY).unlink(missing_ok=True)
        _write_certificate(self.folder, "ca", key, certificate)


def _create_authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Return the key and the certificate of a new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _create_builder("Delivery local CA", CA_LIFETIME)
        .issuer_name(_build_name("Delivery local CA"))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_CA_USAGE, critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _build_name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _create_builder(common_name: str, lifetime: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_build_name(common_name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + lifetime)
    )


def _is_valid_long_enough(path: Path) -> bool:
    if not path.exists() or not path.with_suffix(".key").exists():
        return False
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc > datetime.now(UTC) + RENEW_BEFORE


def _is_usable(path: Path) -> bool:
    """Return whether a certificate is valid long enough and belongs to its key.

    A command that was killed may have replaced only the key.
    """
    if not _is_valid_long_enough(path):
        return False
    key = serialization.load_pem_private_key(path.with_suffix(".key").read_bytes(), None)
    return key.public_key() == x509.load_pem_x509_certificate(path.read_bytes()).public_key()


def _has_key_identifier(path: Path) -> bool:
    extensions = x509.load_pem_x509_certificate(path.read_bytes()).extensions
    return any(isinstance(extension.value, x509.SubjectKeyIdentifier) for extension in extensions)


def _encode_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _encode_certificate(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _write_certificate(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    write_private(folder / f"{name}.key", _encode_key(key))
    write_private(folder / f"{name}.pem", _encode_certificate(certificate))
