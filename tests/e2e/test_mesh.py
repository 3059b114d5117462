"""Network security of the mesh: sidecars, mTLS, authorization of callers, and access of operators."""

import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from cryptography import x509

from deploy.local.mesh_config import CALLEES, SERVICES
from deploy.local.pki.certificates import CertificateAuthority
from generated.proto.delivery.partners.v1 import ListCatalogRequest
from services.runtime.rpc.codec import get_codec
from tests.conftest import Mesh, shift_port

LIST_CATALOG = "/delivery.partners.v1.PartnersService/ListCatalog"


def read_pids(mesh: Mesh) -> dict[str, int]:
    """Return the pid of each process of the mesh by name."""
    return {
        child["name"]: child["pid"]
        for child in json.loads((mesh.state_dir / "mesh.json").read_text(encoding="utf-8"))["children"]
    }


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_no_tcp_port(mesh: Mesh, service: str) -> None:
    process = psutil.Process(read_pids(mesh)[service])
    tcp_connections = process.net_connections("tcp")
    assert [connection for connection in tcp_connections if connection.status == psutil.CONN_LISTEN] == []
    unix_addresses = [str(connection.laddr) for connection in process.net_connections("unix")]
    sockets = {Path(address).name for address in unix_addresses if address.startswith("/")}
    assert f"{service}.sock" in sockets
    assert (f"{service}-http1.sock" in sockets) == (service != "gateway")


def test_sockets_are_owner_only(mesh: Mesh) -> None:
    folder = mesh.state_dir / "run"
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.glob("*.sock"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_all_processes_listen_on_loopback_only(mesh: Mesh) -> None:
    for name, pid in read_pids(mesh).items():
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1"), (
                        f"{name} listens on {connection.laddr}"
                    )


@pytest.fixture(scope="module")
def identity_dir(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create certificates of the mesh's CA for an unknown caller and a foreign trust domain, and one of another CA."""
    folder = tmp_path_factory.mktemp("identities")
    for name in ("ca.pem", "ca.key", "gateway.pem", "gateway.key", "ops.pem", "ops.key"):
        shutil.copy(mesh.state_dir / "pki" / name, folder / name)
    mesh_ca = CertificateAuthority(folder)
    mesh_ca.issue_certificate("unknown", [x509.UniformResourceIdentifier("spiffe://delivery.local/unknown")])
    mesh_ca.issue_certificate("foreign", [x509.UniformResourceIdentifier("spiffe://elsewhere/gateway")])
    other_ca = CertificateAuthority(folder / "other-ca")
    other_ca.issue_certificate("gateway", [x509.UniformResourceIdentifier("spiffe://delivery.local/gateway")])
    return folder


def handshake(folder: Path | None, name: str, port: int = 15003) -> bytes:
    """Start TLS and HTTP/2 with an ingress, and return the response. Raises OSError if the connection is closed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if folder is not None:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    with (
        socket.create_connection(("127.0.0.1", shift_port(port)), timeout=3) as tcp_socket,
        context.wrap_socket(tcp_socket) as tls_socket,
    ):
        tls_socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        return tls_socket.recv(64)


def test_gateway_certificate_is_accepted(identity_dir: Path) -> None:
    assert handshake(identity_dir, "gateway")


@pytest.mark.parametrize(("name", "status"), [("gateway", "0"), ("unknown", "7"), ("ops", "0")])
def test_method_is_restricted_to_its_callers(identity_dir: Path, name: str, status: str) -> None:
    """7 is PERMISSION_DENIED. The client checks no host names, because certificates contain SPIFFE ids."""
    context = ssl.create_default_context(cafile=str(identity_dir / "ca.pem"))
    context.check_hostname = False
    context.load_cert_chain(identity_dir / f"{name}.pem", identity_dir / f"{name}.key")
    message = get_codec().encode(ListCatalogRequest(page_size=1))
    frame = b"\0" + len(message).to_bytes(4) + message
    headers = {"content-type": "application/grpc", "te": "trailers"}
    with httpx.Client(verify=context, http1=False, http2=True, trust_env=False) as client:
        response = client.post(f"https://127.0.0.1:{shift_port(15003)}{LIST_CATALOG}", content=frame, headers=headers)
    assert response.status_code == 200
    assert response.headers.get("grpc-status", "0") == status


@pytest.mark.parametrize("port", [15002, 15003, 15004])
@pytest.mark.parametrize("name", ["none", "foreign", "other-ca/gateway"])
def test_connection_without_mesh_certificate_is_rejected(identity_dir: Path, name: str, port: int) -> None:
    folder = None if name == "none" else identity_dir
    try:
        received = handshake(folder, name, port)
    except OSError:
        return
    assert received == b""


@pytest.mark.parametrize("port", [15002, 15003, 15004])
def test_plaintext_connection_is_rejected(mesh: Mesh, port: int) -> None:
    with socket.create_connection(("127.0.0.1", shift_port(port)), timeout=3) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        try:
            received = connection.recv(64)
        except ConnectionResetError:
            return
        assert not received.startswith(b"HTTP/")


def run_buf_curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `buf curl`."""
    command = [Path(sys.executable).with_name("buf"), "curl", "--http2-prior-knowledge", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, encoding="utf-8")


@pytest.mark.parametrize("protocol", ["grpc", "connect"])
@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
@pytest.mark.parametrize("service", CALLEES)
def test_reflection_lists_methods_of_service(mesh: Mesh, protocol: str, version: str, service: str) -> None:
    url = f"http://127.0.0.1:{shift_port(15000)}"
    service_headers = ("-H", f"Host: {service}", "--reflect-header", f"Host: {service}")
    listed = run_buf_curl(
        "--protocol", protocol, "--reflect-protocol", version, *service_headers, "--list-methods", url
    )
    assert listed.returncode == 0, listed.stderr
    assert f"delivery.{service}.v1.{service.title()}Service/" in listed.stdout


def test_operator_calls_require_admin_token(mesh: Mesh, token: Callable[[str], str]) -> None:
    url = f"http://127.0.0.1:{shift_port(15000)}{LIST_CATALOG}"
    options = ("--protocol", "grpc", "-H", "Host: partners", "-d", '{"page_size": 1}')
    for role in (None, "customer"):
        header = () if role is None else ("-H", f"Authorization: Bearer {token(role)}")
        denied = run_buf_curl(*options, *header, url)
        assert denied.returncode != 0
    allowed = run_buf_curl(*options, "-H", f"Authorization: Bearer {token('admin')}", url)
    assert json.loads(allowed.stdout)["items"][0]["title"] == "Green Bowl"


@pytest.mark.parametrize("port", [15021, 15022, 15023, 15024])
def test_probe_port_serves_only_health(mesh: Mesh, port: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{shift_port(port)}") as channel:
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=3) == b"\x08\x01"
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(LIST_CATALOG)(b"", timeout=3)


@pytest.mark.parametrize("port", [9901, 9902, 9903, 9904])
def test_envoy_admin_is_read_only(mesh: Mesh, port: int) -> None:
    admin_url = f"http://127.0.0.1:{shift_port(port)}"
    for path in ("/ready", "/stats", "/clusters", "/config_dump"):
        assert httpx.get(admin_url + path, trust_env=False).status_code == 200
    for path in ("/quitquitquit", "/logging", "/runtime_modify", "/certs"):
        assert httpx.post(admin_url + path, trust_env=False).status_code == 403


def test_edge_supports_tls_and_http2(mesh: Mesh) -> None:
    context = ssl.create_default_context(cafile=str(mesh.state_dir / "pki/ca.pem"))
    with httpx.Client(verify=context, http2=True, trust_env=False) as client:
        response = client.get(f"https://localhost:{shift_port(4443)}/openapi.json")
    assert (response.status_code, response.http_version) == (200, "HTTP/2")


def test_cors_allows_only_configured_origins(edge: httpx.Client) -> None:
    preflight_headers = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    allowed = edge.options("/catalog", headers={"origin": "http://localhost:5173", **preflight_headers})
    assert allowed.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert (
        "traceresponse"
        in edge.get("/catalog", headers={"origin": "http://localhost:3000"}).headers["access-control-expose-headers"]
    )
    disallowed = edge.options("/catalog", headers={"origin": "http://localhost:51730", **preflight_headers})
    assert "access-control-allow-origin" not in disallowed.headers
