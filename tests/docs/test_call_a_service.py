"""Authorization of the external caller of docs/call-a-service.md: allowed and denied methods."""

import ssl
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.docs.conftest import PORT_OFFSET, DocRun, run_page

CHECK_PRODUCTS = "/delivery.partners.v1.PartnersService/CheckProducts"
LIST_CATALOG = "/delivery.partners.v1.PartnersService/ListCatalog"
LIST_BANKS = "/delivery.orders.v1.OrdersService/ListBanks"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
PERMISSION_DENIED = "7"
PARTNERS_INGRESS_PORT, ORDERS_INGRESS_PORT = 15003 + PORT_OFFSET, 15002 + PORT_OFFSET

pytestmark = pytest.mark.timeout(400)  # the fixture runs the page, which starts a mesh


@pytest.fixture(scope="module")
def doc_run() -> Iterator[DocRun]:
    with run_page("call-a-service.md") as doc_run:
        yield doc_run


def call_ingress(doc_run: DocRun, port: int, path: str) -> str:
    """Call an ingress with the certificate of the kiosk, bypassing its sidecar. Return the gRPC status."""
    pki = doc_run.root / ".local/pki"
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    context.check_hostname = False  # certificates contain SPIFFE ids instead of host names
    context.load_cert_chain(pki / "kiosk.pem", pki / "kiosk.key")
    headers = {"content-type": "application/grpc", "te": "trailers"}
    with httpx.Client(http1=False, http2=True, verify=context, trust_env=False) as client:
        response = client.post(f"https://127.0.0.1:{port}{path}", headers=headers, content=b"\0" * 5)
    return str(response.headers.get("grpc-status", "0"))


def test_ingress_allows_only_granted_methods(doc_run: DocRun) -> None:
    assert call_ingress(doc_run, PARTNERS_INGRESS_PORT, LIST_CATALOG) == "0"
    assert call_ingress(doc_run, PARTNERS_INGRESS_PORT, CHECK_PRODUCTS) == PERMISSION_DENIED
    for path in (LIST_BANKS, REFLECTION):
        assert call_ingress(doc_run, ORDERS_INGRESS_PORT, path) == PERMISSION_DENIED


def test_reflection_is_denied_for_service_without_grants(doc_run: DocRun) -> None:
    arguments = (".local/run/kiosk-egress.sock", "delivery.orders.v1.OrdersService", "ListBanks", "{}")
    completed = subprocess.run(
        [doc_run.root / ".venv/bin/python", "kiosk.py", *arguments],
        cwd=doc_run.root,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert completed.returncode != 0
    assert "PERMISSION_DENIED" in completed.stderr


@pytest.mark.parametrize("name", ["unknown", "orders", "ops", "ca", "../kiosk"])
def test_certificate_is_denied_for_caller_without_grants(doc_run: DocRun, name: str) -> None:
    pki = doc_run.root / ".local/pki"
    before = {path.name: path.read_bytes() for path in pki.iterdir()}
    completed = subprocess.run(
        ["make", "add-caller", f"NAME={name}"],
        cwd=doc_run.root,
        env=doc_run.environment,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert completed.returncode != 0
    assert "envoy/mesh.yaml" in completed.stderr or "CALLER_" in completed.stderr
    assert {path.name: path.read_bytes() for path in pki.iterdir()} == before
