"""The last release on the databases of the next ones, as during a rolling release and after a rollback.

The last release is a checkout of the last commit that released the contracts. One process of each of its services runs
beside the mesh, on the mesh's stores and broker. The schema is the present one, and one migration more that neither
the release nor this tree contains. Two things are simulated: that migration is recorded without a change of the schema,
and the checkout runs with the dependencies and the settings of this tree.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest

from deploy.local.infrastructure.services import build_base_environment, build_service_environment
from deploy.local.mesh_config import SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets
from generated.proto.delivery.orders import v1 as orders
from generated.proto.delivery.partners import v1 as partners
from services.runtime.rpc.codec import get_codec
from services.runtime.rpc.health_check import is_serving
from tests.conftest import ROOT, Mesh
from tests.later_schema import LATER_REVISION, recording_later_migration
from tests.wait import wait_until

RELEASED_VERSION = "api-specs/released/VERSION"


@dataclass(frozen=True)
class Process:
    """Process of a service of the last release."""

    popen: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    log: Path

    @property
    def health_target(self) -> str:
        """Return the gRPC target of the health service."""
        return f"unix:{self.environment.get('HEALTH_SOCKET', self.environment['SERVICE_SOCKET'])}"

    def is_ready(self) -> bool:
        """Return whether the process serves. Raises AssertionError with its output if it has exited."""
        assert self.popen.poll() is None, self.log.read_text(encoding="utf-8")
        return is_serving(self.health_target)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Check out the last release, and build what its gateway reads and git does not contain."""
    folder = tmp_path_factory.mktemp("release")
    git = ("git", "-C", str(ROOT))
    command = [*git, "log", "-1", "--format=%H", "--", RELEASED_VERSION]
    commit = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.strip()
    archive = subprocess.run([*git, "archive", commit], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    subprocess.run([sys.executable, "-m", "codegen.artefacts", "openapi"], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def environments(mesh: Mesh, release: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Return the environment of each service of the release: the stores of the mesh, and sockets of its own.

    Half of the services migrate at their start, as in development; the others exit if a migration is pending, as in
    production. Both halves contain a service with documents.
    """
    config = MeshConfig()
    sockets = tmp_path_factory.mktemp("run")
    services = [service for service in SERVICES if (release / "services" / service).is_dir()]
    environments = {
        service: build_base_environment(config)
        | build_service_environment(config, Secrets(config), service)
        | {
            "DRAIN_SECONDS": "0",
            "MIGRATE_AT_START": str(index % 4 < 2),
            "PYTHONPATH": str(release),
            "SERVICE_SOCKET": str(sockets / f"{service}.sock"),
        }
        for index, service in enumerate(services)
    }
    environments["gateway"] |= {
        "HEALTH_SOCKET": str(sockets / "health.sock"),
        "SWAGGER_UI_FOLDER": str(ROOT / "node_modules/swagger-ui-dist"),
    }
    return environments


@pytest.fixture(scope="module")
def processes(
    environments: dict[str, dict[str, str]], release: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Process]]:
    """Serve all services of the release on stores with a later migration."""
    logs = tmp_path_factory.mktemp("logs")
    started: dict[str, Process] = {}
    with ExitStack() as stack:
        for environment in environments.values():
            stack.enter_context(recording_later_migration(environment))
        stack.callback(stop, started)
        for service, environment in environments.items():
            log = logs / f"{service}.log"
            command = [sys.executable, "-m", f"services.{service}", "serve"]
            with log.open("wb") as output:
                popen = subprocess.Popen(command, cwd=release, env=environment, stdout=output, stderr=output)
            started[service] = Process(popen, environment, log)
        yield started


def stop(processes: Mapping[str, Process]) -> None:
    """Stop processes; kill those that have not exited after 20 seconds."""
    for process in processes.values():
        process.popen.terminate()
    for process in processes.values():
        try:
            process.popen.wait(20)
        except subprocess.TimeoutExpired:
            process.popen.kill()


def test_last_release_serves_on_a_later_schema(processes: dict[str, Process]) -> None:
    assert {process.environment["MIGRATE_AT_START"] for process in processes.values()} == {"True", "False"}
    for service, process in processes.items():
        wait_until(process.is_ready, description=f"{service} of the last release serves")
        with closing(psycopg.connect(process.environment["DATABASE_URL"])) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(LATER_REVISION,)], (
                service
            )


def test_last_release_reads_the_stores_of_a_later_schema(processes: dict[str, Process]) -> None:
    calls = {
        "orders": ("/delivery.orders.v1.OrdersService/ListBanks", orders.ListBanksRequest(page_size=10)),
        "partners": ("/delivery.partners.v1.PartnersService/ListCatalog", partners.ListCatalogRequest(page_size=10)),
    }
    for service, (method, request) in calls.items():
        wait_until(processes[service].is_ready)
        with grpc.insecure_channel(processes[service].health_target) as channel:
            assert channel.unary_unary(method)(get_codec().encode(request), timeout=10), service
    wait_until(processes["gateway"].is_ready)
    transport = httpx.HTTPTransport(uds=processes["gateway"].environment["SERVICE_SOCKET"])
    with httpx.Client(base_url="http://gateway/api/v1", transport=transport, timeout=10) as client:
        assert client.get("/catalog").raise_for_status().json()["items"]
