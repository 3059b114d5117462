"""The last release on the databases of the next ones, as during a rolling release and after a rollback.

The last release is a checkout of the last commit that released the contracts. One process of each of its services runs
beside the mesh, on the mesh's stores and broker. The schema is the present one, and one migration more that neither
the release nor this tree contains. Three things are simulated: that migration is recorded without a change of the
schema, the checkout runs with the dependencies and the settings of this tree, and its gateway has a cache without a
password, as the release expects.
"""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import betterproto2
import grpc
import httpx
import psycopg
import pytest

from deploy.local.demo.scenarios import BASKET
from deploy.local.infrastructure.services import build_base_environment, build_service_environment
from deploy.local.mesh_config import SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets
from generated.proto.delivery.orders import v1 as orders
from generated.proto.delivery.partners import v1 as partners
from services.runtime.core.principal import PAYLOAD_HEADER
from services.runtime.rpc.codec import get_codec
from services.runtime.rpc.health_check import is_serving
from tests.conftest import ROOT, Mesh
from tests.free_ports import find_free_port
from tests.later_schema import LATER_REVISION, recording_later_migration
from tests.unprivileged_user import UNPRIVILEGED_PREFIX
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
def cache_address() -> Iterator[str]:
    """Return the address of a Memcached that requires no authentication."""
    port = find_free_port()
    popen = subprocess.Popen([*UNPRIVILEGED_PREFIX, "memcached", "-l", "127.0.0.1", "-p", str(port)])
    yield f"127.0.0.1:{port}"
    popen.terminate()
    popen.wait(20)


@pytest.fixture(scope="module")
def environments(
    mesh: Mesh, release: Path, cache_address: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
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
        "CACHE_ADDRESS": cache_address,
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


def connect_to_gateway(processes: Mapping[str, Process]) -> httpx.Client:
    """Return a client of the gateway of the release, which calls the other services of the mesh."""
    wait_until(processes["gateway"].is_ready)
    transport = httpx.HTTPTransport(uds=processes["gateway"].environment["SERVICE_SOCKET"])
    return httpx.Client(base_url="http://gateway/api/v1", transport=transport, timeout=10)


def build_identity_headers(token: str) -> dict[str, str]:
    """Return the headers of a verified token, as the sidecar passes them to its service."""
    return {"authorization": f"Bearer {token}", PAYLOAD_HEADER: token.split(".")[1]}


def call[Response: betterproto2.Message](
    process: Process, method: str, request: betterproto2.Message, response_type: type[Response], token: str = ""
) -> Response:
    """Call a method of a service of the release."""
    wait_until(process.is_ready)
    metadata = tuple(build_identity_headers(token).items()) if token else ()
    with grpc.insecure_channel(process.health_target) as channel:
        response = channel.unary_unary(method)(get_codec().encode(request), metadata=metadata, timeout=10)
    return get_codec().decode(response_type, response)


def test_last_release_reads_the_stores_of_a_later_schema(processes: dict[str, Process]) -> None:
    banks = call(
        processes["orders"],
        "/delivery.orders.v1.OrdersService/ListBanks",
        orders.ListBanksRequest(page_size=10),
        orders.ListBanksResponse,
    )
    assert banks.items
    catalog = call(
        processes["partners"],
        "/delivery.partners.v1.PartnersService/ListCatalog",
        partners.ListCatalogRequest(page_size=10),
        partners.ListCatalogResponse,
    )
    assert catalog.items
    with connect_to_gateway(processes) as client:
        assert client.get("/catalog").raise_for_status().json()["items"]


def test_services_of_last_release_check_and_create_an_order(
    processes: dict[str, Process], edge: httpx.Client, token: Callable[[str], str], bearer: Callable[[str], Any]
) -> None:
    checked = call(
        processes["partners"],
        "/delivery.partners.v1.PartnersService/CheckProducts",
        partners.CheckProductsRequest(
            partner_id=BASKET["partner_id"],
            items=[partners.BasketItem(**item) for item in BASKET["items"]],
            total_amount=BASKET["total_amount"],
            currency=BASKET["currency"],
        ),
        partners.CheckProductsResponse,
    )
    partner = checked.partner
    assert partner is not None
    basket = orders.CheckedBasket(
        partner=orders.OrderPartner(id=partner.id, title=partner.title, brand=partner.brand),
        items=[
            orders.OrderItem(product_id=item.product_id, title=item.title, quantity=item.quantity, price=item.price)
            for item in checked.items
        ],
        total_amount=checked.total_amount,
        currency=checked.currency,
        bank_id=BASKET["bank_id"],
        delivery_address=BASKET["delivery_address"],
        expires_at=datetime.now(UTC) + timedelta(minutes=10),
    )
    created = call(
        processes["orders"],
        "/delivery.orders.v1.OrdersService/CreateOrder",
        orders.CreateOrderRequest(check_id=str(uuid.uuid4()), basket=basket),
        orders.CreateOrderResponse,
        token("customer"),
    )
    assert created.order is not None
    path = f"/orders/{created.order.id}"
    order = edge.get(path, headers=bearer("customer")).raise_for_status().json()
    assert (order["status"], order["total_amount"]) == ("pending", BASKET["total_amount"])
    cancelled = edge.post(f"{path}/cancel", headers=bearer("customer"), json={})
    assert cancelled.raise_for_status().json()["status"] == "cancelled"


def test_gateway_of_last_release_checks_and_confirms_an_order(
    processes: dict[str, Process], token: Callable[[str], str]
) -> None:
    headers = build_identity_headers(token("customer"))
    with connect_to_gateway(processes) as client:
        check = client.post("/order-checks", headers=headers, json=BASKET).raise_for_status().json()
        body = {"check_id": check["check_id"]}
        order = client.post("/orders", headers=headers, json=body).raise_for_status().json()["order"]
        assert (order["status"], order["total_amount"]) == ("pending", BASKET["total_amount"])
        assert client.get(f"/orders/{order['id']}", headers=headers).raise_for_status().json() == order
