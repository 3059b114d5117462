"""Renewed certificates of the mesh and the edge, which Envoy serves without a restart."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509

from deploy.local.mesh_config import CALLEES
from deploy.local.pki.certificates import CertificateAuthority
from tests.envoys import build_settings, issue_certificates, running_envoy
from tests.wait import wait_until


def renew_certificate(authority: CertificateAuthority, name: str) -> int:
    """Renew a certificate and return its serial number."""
    spiffe_id = x509.UniformResourceIdentifier(f"spiffe://delivery.local/{name}")
    authority.issue_certificate(name, [x509.DNSName("localhost") if name == "edge" else spiffe_id])
    return read_issued_serial_number(authority, name)


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


@contextmanager
def recording_client_certificates(port: int, authority: CertificateAuthority, name: str) -> Iterator[list[int]]:
    """Accept connections as the ingress of a sidecar, and record the serial numbers of the callers' certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.folder / "ca.pem"))
    context.load_cert_chain(authority.folder / f"{name}.pem", authority.folder / f"{name}.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    serial_numbers: list[int] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), context.wrap_socket(self.request, server_side=True) as tls:
                certificate = tls.getpeercert(binary_form=True)
                assert certificate is not None
                serial_numbers.append(x509.load_der_x509_certificate(certificate).serial_number)

    with socketserver.TCPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield serial_numbers
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("envoy", "certificate", "port_setting"),
    [*((name, name, f"{name.upper()}_INGRESS_PORT") for name in CALLEES), ("gateway", "edge", "EDGE_TLS_PORT")],
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
        renewed = renew_certificate(authority, certificate)
        wait_until(
            lambda: read_served_serial_number(port, authority.folder) == renewed,
            5,
            description="the renewed certificate is served",
        )


def test_renewed_certificate_is_used_for_calls_without_restart(tmp_path: Path) -> None:
    """The health checks of the gateway's sidecar connect again after each closed connection."""
    authority = issue_certificates(tmp_path)
    settings = build_settings(tmp_path)
    port = int(settings["ORDERS_INGRESS_PORT"])
    with (
        recording_client_certificates(port, authority, "orders") as serial_numbers,
        running_envoy(tmp_path, "gateway", settings),
    ):
        first = read_issued_serial_number(authority, "gateway")
        wait_until(lambda: serial_numbers[-1:] == [first], 5, description="the first certificate is used")
        renewed = renew_certificate(authority, "gateway")
        wait_until(lambda: serial_numbers[-1:] == [renewed], 5, description="the renewed certificate is used")
        assert {*serial_numbers} == {first, renewed}
