"""Rotation of the certificate authority of a running mesh with the command of the documentation."""

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from httpx import Client

from deploy.local.demo.scenarios import DEMO_PASSWORD
from deploy.local.mesh_config import MeshConfig
from tests.conftest import ROOT, Mesh, run_local
from tests.integration.fixtures.repeated_requests import repeated
from tests.rotation.page import list_blocks
from tests.wait import wait_until

pytestmark = pytest.mark.timeout(400)

PATHS = ("/orders", "/notifications", "/partner-calls")
"""Lists of the three services that the gateway calls, which no cache contains."""


@pytest.fixture
def headers(edge: Client) -> dict[str, str]:
    """Return the headers of an admin."""
    credentials = {"email": "admin@delivery.test", "password": DEMO_PASSWORD}
    token = edge.post("/sessions", json=credentials).raise_for_status().json()["access_token"]
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def pki(mesh: Mesh) -> Iterator[Path]:
    """Return the folder of the certificates, and stop the mesh at the end."""
    yield mesh.state_dir / "pki"
    run_local("down")


def run_under_requests(command: str, requests: Sequence[Callable[[], object]]) -> list[set[str]]:
    """Run a command while requests are repeated, and return the different results of each."""
    with ExitStack() as stack:
        results = [stack.enter_context(repeated(request)) for request in requests]
        wait_until(lambda: all(each.total() > 5 for each in results))
        output = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False)
        assert output.returncode == 0, output.stderr.decode()
        totals = [each.total() for each in results]
        wait_until(lambda: all(each.total() > total + 20 for each, total in zip(results, totals, strict=True)))
    return [{*each} for each in results]


def test_authority_of_a_mesh_is_replaced_without_a_failed_request(
    edge: Client, headers: dict[str, str], pki: Path, tmp_path: Path
) -> None:
    [command] = list_blocks("Certificate authority", "sh")
    url = f"https://127.0.0.1:{MeshConfig().get_port('EDGE_TLS_PORT')}/api/v1{PATHS[0]}"

    def list_resources() -> set[int]:
        return {edge.get(path, headers=headers).status_code for path in PATHS}

    def connect() -> int:
        """Send a request on a new connection, which trusts the present authorities."""
        with Client(verify=ssl.create_default_context(cafile=pki / "ca.pem"), trust_env=False) as client:
            return client.get(url, headers=headers).status_code

    old = tmp_path / "old.pem"
    for _ in range(2):
        shutil.copy(pki / "ca.pem", old)
        assert run_under_requests(command, [list_resources, connect]) == [{"{200}"}, {"200"}]
        [authority] = x509.load_pem_x509_certificates((pki / "ca.pem").read_bytes())
        for path in pki.glob("*.pem"):
            x509.load_pem_x509_certificate(path.read_bytes()).verify_directly_issued_by(authority)
        with (
            Client(verify=ssl.create_default_context(cafile=old), trust_env=False) as client,
            pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            client.get(url)
