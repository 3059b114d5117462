"""Renewed certificates of the mesh and the edge, which Envoy serves without a restart."""

import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from deploy.local.pki.certificates import CertificateAuthority
from tests.envoys import build_settings, issue_certificates, running_envoy
from tests.wait import wait_until

SANS = {
    "orders": x509.UniformResourceIdentifier("spiffe://delivery.local/orders"),
    "edge": x509.DNSName("localhost"),
}


def read_served_serial_number(port: int, pki_dir: Path) -> int:
    """Return the serial number of the certificate that a listener serves."""
    context = ssl.create_default_context(cafile=str(pki_dir / "ca.pem"))
    context.check_hostname = False  # the certificate of a sidecar contains a SPIFFE id instead of a host name
    context.load_cert_chain(pki_dir / "gateway.pem", pki_dir / "gateway.key")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        context.wrap_socket(connection) as tls,
    ):
        certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def read_issued_serial_number(authority: CertificateAuthority, name: str) -> int:
    return x509.load_pem_x509_certificate((authority.folder / f"{name}.pem").read_bytes()).serial_number


@pytest.mark.parametrize(
    ("envoy", "certificate", "port_setting"),
    [("orders", "orders", "ORDERS_INGRESS_PORT"), ("gateway", "edge", "EDGE_TLS_PORT")],
)
def test_renewed_certificate_is_served_without_restart(
    tmp_path: Path, envoy: str, certificate: str, port_setting: str
) -> None:
    authority = issue_certificates(tmp_path)
    settings = build_settings(tmp_path)
    port = int(settings[port_setting])
    with running_envoy(tmp_path, envoy, settings):
        first = read_served_serial_number(port, authority.folder)
        assert first == read_issued_serial_number(authority, certificate)
        authority.issue_certificate(certificate, [SANS[certificate]])
        renewed = read_issued_serial_number(authority, certificate)
        wait_until(
            lambda: read_served_serial_number(port, authority.folder) == renewed,
            5,
            description="the renewed certificate is served",
        )
