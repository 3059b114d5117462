"""docs/call-a-service.md, walked: what the kiosk may do, and what it may not, whichever way it tries."""

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

pytestmark = pytest.mark.timeout(400)  # the walk is the fixture's, and boots a mesh


@pytest.fixture(scope="module")
def doc_run() -> Iterator[DocRun]:
    with run_page("call-a-service.md") as found:
        yield found


def call_ingress(doc_run: DocRun, port: int, path: str) -> str:
    """The status that a service's own sidecar answers the kiosk's certificate with, the kiosk's sidecar passed by."""
    pki = doc_run.root / ".local/pki"
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    context.check_hostname = False  # the name in it is a SPIFFE id
    context.load_cert_chain(pki / "kiosk.pem", pki / "kiosk.key")
    headers = {"content-type": "application/grpc", "te": "trailers"}
    with httpx.Client(http1=False, http2=True, verify=context, trust_env=False) as client:
        answer = client.post(f"https://127.0.0.1:{port}{path}", headers=headers, content=b"\0" * 5)
    return str(answer.headers.get("grpc-status", "0"))


def test_the_ingress_admits_the_kiosk_to_what_it_was_granted_and_nothing_else(doc_run: DocRun) -> None:
    assert call_ingress(doc_run, PARTNERS_INGRESS_PORT, LIST_CATALOG) == "0"
    assert call_ingress(doc_run, PARTNERS_INGRESS_PORT, CHECK_PRODUCTS) == PERMISSION_DENIED
    for path in (LIST_BANKS, REFLECTION):
        assert call_ingress(doc_run, ORDERS_INGRESS_PORT, path) == PERMISSION_DENIED


def test_a_service_that_grants_nothing_is_not_even_described(doc_run: DocRun) -> None:
    arguments = (".local/run/kiosk-egress.sock", "delivery.orders.v1.OrdersService", "ListBanks", "{}")
    done = subprocess.run(
        [doc_run.root / ".venv/bin/python", "kiosk.py", *arguments],
        cwd=doc_run.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "PERMISSION_DENIED" in done.stderr


@pytest.mark.parametrize("name", ["nobody", "orders", "ops", "ca", "../kiosk"])
def test_no_certificate_is_issued_for_a_name_that_the_contract_does_not_grant_anything(
    doc_run: DocRun, name: str
) -> None:
    pki = doc_run.root / ".local/pki"
    before = {path.name: path.read_bytes() for path in pki.iterdir()}
    done = subprocess.run(
        ["make", "add-caller", f"NAME={name}"],
        cwd=doc_run.root,
        env=doc_run.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "envoy/mesh.yaml" in done.stderr or "CALLER_" in done.stderr
    assert {path.name: path.read_bytes() for path in pki.iterdir()} == before
