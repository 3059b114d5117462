"""The mesh itself: nobody passes a sidecar by, nobody calls without an identity, operators find what they need."""

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

from deploy.local.pki.certificates import CertificateAuthority
from generated.proto.delivery.partners.v1 import ListCatalogRequest
from services.runtime.rpc.codec import get_codec
from tests.conftest import Mesh, shift_port

LIST_CATALOG = "/delivery.partners.v1.PartnersService/ListCatalog"
SERVICES = ("orders", "partners", "notifications")


def children(mesh: Mesh) -> dict[str, int]:
    """The pid of each process of the mesh."""
    return {child["name"]: child["pid"] for child in json.loads((mesh.state_dir / "mesh.json").read_text())["children"]}


@pytest.mark.parametrize("service", ["gateway", *SERVICES])
def test_an_app_has_no_tcp_port(mesh: Mesh, service: str) -> None:
    process = psutil.Process(children(mesh)[service])
    listening = [c for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert listening == []
    sockets = {Path(c.laddr).name for c in process.net_connections("unix") if str(c.laddr).startswith("/")}
    assert f"{service}.sock" in sockets


def test_sockets_are_their_owners_alone(mesh: Mesh) -> None:
    folder = mesh.state_dir / "run"
    assert folder.stat().st_mode & 0o777 == 0o700
    for service in ("gateway", *SERVICES):
        assert (folder / f"{service}.sock").stat().st_mode & 0o077 == 0


def test_everything_binds_to_loopback(mesh: Mesh) -> None:
    for name, pid in children(mesh).items():
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1"), (
                        f"{name} listens on {connection.laddr}"
                    )


@pytest.fixture(scope="module")
def identities(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates: one of our CA that no method names as a caller, and one of another CA with the right name."""
    folder = tmp_path_factory.mktemp("identities")
    for name in ("ca.pem", "ca.key", "gateway.pem", "gateway.key", "ops.pem", "ops.key"):
        shutil.copy(mesh.state_dir / "pki" / name, folder / name)
    ours = CertificateAuthority(folder)
    ours.issue_certificate("stranger", [x509.UniformResourceIdentifier("spiffe://delivery.local/stranger")])
    ours.issue_certificate("foreign", [x509.UniformResourceIdentifier("spiffe://elsewhere/gateway")])
    theirs = CertificateAuthority(folder / "theirs")
    theirs.issue_certificate("gateway", [x509.UniformResourceIdentifier("spiffe://delivery.local/gateway")])
    return folder


def handshake(folder: Path | None, name: str, number: int = 15003) -> bytes:
    """Greets an ingress by TLS and HTTP/2, and returns what it says. Raises OSError when it hangs up."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if folder is not None:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    with (
        socket.create_connection(("127.0.0.1", shift_port(number)), timeout=3) as raw,
        context.wrap_socket(raw) as secure,
    ):
        secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        return secure.recv(64)


def test_the_gateways_certificate_is_heard(identities: Path) -> None:
    assert handshake(identities, "gateway")


@pytest.mark.parametrize(("name", "status"), [("gateway", "0"), ("stranger", "7"), ("ops", "0")])
def test_a_method_is_for_its_callers_only(identities: Path, name: str, status: str) -> None:
    """7 is PERMISSION_DENIED. Certificates name SPIFFE ids, no hosts, so the client here checks no names."""
    context = ssl.create_default_context(cafile=str(identities / "ca.pem"))
    context.check_hostname = False
    context.load_cert_chain(identities / f"{name}.pem", identities / f"{name}.key")
    message = get_codec().encode(ListCatalogRequest(page_size=1))
    frame = b"\0" + len(message).to_bytes(4) + message
    headers = {"content-type": "application/grpc", "te": "trailers"}
    with httpx.Client(verify=context, http1=False, http2=True, trust_env=False) as client:
        answer = client.post(f"https://127.0.0.1:{shift_port(15003)}{LIST_CATALOG}", content=frame, headers=headers)
    assert answer.status_code == 200
    assert answer.headers.get("grpc-status", "0") == status


@pytest.mark.parametrize("number", [15002, 15003, 15004])
@pytest.mark.parametrize("name", ["none", "foreign", "theirs/gateway"])
def test_without_an_identity_of_the_mesh_there_is_no_connection(identities: Path, name: str, number: int) -> None:
    folder = None if name == "none" else identities
    try:
        said = handshake(folder, name, number)
    except OSError:
        return
    assert said == b""


@pytest.mark.parametrize("number", [15002, 15003, 15004])
def test_plaintext_is_refused(mesh: Mesh, number: int) -> None:
    with socket.create_connection(("127.0.0.1", shift_port(number)), timeout=3) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        try:
            said = connection.recv(64)
        except ConnectionResetError:
            return
        assert not said.startswith(b"HTTP/")


def buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    """buf curl at the operators' door."""
    command = [Path(sys.executable).with_name("buf"), "curl", "--http2-prior-knowledge", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("protocol", ["grpc", "connect"])
@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
@pytest.mark.parametrize("service", SERVICES)
def test_reflection_lists_the_services(mesh: Mesh, protocol: str, version: str, service: str) -> None:
    door = f"http://127.0.0.1:{shift_port(15000)}"
    chosen = ("-H", f"Host: {service}", "--reflect-header", f"Host: {service}")
    listed = buf("--protocol", protocol, "--reflect-protocol", version, *chosen, "--list-methods", door)
    assert listed.returncode == 0, listed.stderr
    assert f"delivery.{service}.v1.{service.title()}Service/" in listed.stdout


def test_operators_call_with_an_admins_token_only(mesh: Mesh, token: Callable[[str], str]) -> None:
    url = f"http://127.0.0.1:{shift_port(15000)}{LIST_CATALOG}"
    base = ("--protocol", "grpc", "-H", "Host: partners", "-d", '{"page_size": 1}')
    for who in (None, "customer"):
        header = () if who is None else ("-H", f"Authorization: Bearer {token(who)}")
        refused = buf(*base, *header, url)
        assert refused.returncode != 0
    allowed = buf(*base, "-H", f"Authorization: Bearer {token('admin')}", url)
    assert json.loads(allowed.stdout)["items"][0]["title"] == "Green Bowl"


@pytest.mark.parametrize("number", [15021, 15022, 15023, 15024])
def test_the_probe_door_says_serving_and_nothing_else(mesh: Mesh, number: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{shift_port(number)}") as channel:
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=3) == b"\x08\x01"
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(LIST_CATALOG)(b"", timeout=3)


@pytest.mark.parametrize("number", [9901, 9902, 9903, 9904])
def test_the_admin_answers_what_operators_need_and_nothing_else(mesh: Mesh, number: int) -> None:
    admin = f"http://127.0.0.1:{shift_port(number)}"
    for path in ("/ready", "/stats", "/clusters", "/config_dump"):
        assert httpx.get(admin + path, trust_env=False).status_code == 200
    for path in ("/quitquitquit", "/logging", "/runtime_modify", "/certs"):
        assert httpx.post(admin + path, trust_env=False).status_code == 403


def test_the_edge_speaks_tls(mesh: Mesh) -> None:
    context = ssl.create_default_context(cafile=str(mesh.state_dir / "pki/ca.pem"))
    with httpx.Client(verify=context, http2=True, trust_env=False) as client:
        answer = client.get(f"https://localhost:{shift_port(4443)}/openapi.json")
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")


def test_a_browser_from_a_known_origin_may_call(edge: httpx.Client) -> None:
    asked = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    allowed = edge.options("/catalog", headers={"origin": "http://localhost:5173", **asked})
    assert allowed.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert (
        "traceresponse"
        in edge.get("/catalog", headers={"origin": "http://localhost:3000"}).headers["access-control-expose-headers"]
    )
    other = edge.options("/catalog", headers={"origin": "http://localhost:51730", **asked})
    assert "access-control-allow-origin" not in other.headers
