"""Baseline processes, which use the same servers as the mesh."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from sqlalchemy import create_engine, insert

from bench.baselines.tables import Bank, Base, Offer, Partner, Product
from bench.load_generator import list_process_tree
from bench.mesh import Mesh, generate_partners, generate_products
from bench.paths import FIRST_BASELINE_PORT, STATE_DIR
from bench.processes import ProcessGroup
from deploy.local.infrastructure.memcached import build_memcached_server
from deploy.local.infrastructure.mongodb import build_documents_url
from deploy.local.infrastructure.servers import BROKER_ADMIN, build_broker_url
from tests.wait import wait_until

UVICORN_COMMAND = (
    "uvicorn",
    "--loop=uvloop",
    "--http=httptools",
    "--no-access-log",
    "--log-level=warning",
    "--host=127.0.0.1",
)

GRPC_ORM, GRPC_RAW = "FastAPI and gRPC, ORM", "FastAPI and gRPC, raw driver"
SINGLE_PROCESS = "FastAPI, one process, raw driver"
STARLETTE, ENVOY = "Starlette and msgspec, raw driver", "Envoy direct response"
UPPER_BOUNDS = (STARLETTE, ENVOY)
"""Baselines that serve only the catalog and validate nothing."""


@dataclass(frozen=True)
class Baseline:
    """Commands of a baseline, one per process. The last process listens on `port`."""

    name: str
    port: int
    commands: tuple[tuple[str, ...], ...]
    backend: str = ""


def list_baselines() -> Iterator[Baseline]:
    """Yield every baseline."""
    base = FIRST_BASELINE_PORT
    for number, (name, repository) in enumerate([(GRPC_ORM, "orm"), (GRPC_RAW, "raw")]):
        port, backend_port = base + 10 * number, base + 10 * number + 1
        service = ("bench.baselines.grpc_backend", str(backend_port), repository)
        app = (*UVICORN_COMMAND, f"--port={port}", "bench.baselines.fastapi_app:app")
        yield Baseline(name, port, (service, app), f"127.0.0.1:{backend_port}")
    app = (*UVICORN_COMMAND, f"--port={base + 20}", "bench.baselines.fastapi_app:app")
    yield Baseline(SINGLE_PROCESS, base + 20, (app,), "raw")
    yield Baseline(
        STARLETTE, base + 30, ((*UVICORN_COMMAND, f"--port={base + 30}", "bench.baselines.bare_starlette:app"),)
    )
    yield Baseline(ENVOY, base + 40, (("bench.baselines.envoy_direct_response", str(base + 40)),))


def insert_catalog(mesh: Mesh) -> None:
    """Create the database of the baselines with the same catalog as the mesh."""
    mesh.recreate_database("baselines")
    engine = create_engine(mesh.build_database_url("baselines").replace("postgresql://", "postgresql+psycopg://"))
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        columns = ("id", "title", "brand", "address")
        partners = [dict(zip(columns, row, strict=True)) for row in generate_partners()]
        state = {"verified": True, "enabled": True, "delivery_fee": 0, "delivery_fee_currency": "USD"}
        connection.execute(insert(Partner), [partner | state for partner in partners])
        for product, title, description, partner, price in generate_products():
            connection.execute(insert(Product).values(id=product, title=title, description=description))
            offer = {"partner_id": partner, "product_id": product, "price": price, "currency": "USD", "active": True}
            connection.execute(insert(Offer).values(**offer))
        connection.execute(insert(Bank).values(id="visa", webcheckout_url="http://127.0.0.1/checkout", active=True))
    engine.dispose()
    with mesh.connect_database("baselines") as connection:
        connection.execute("ANALYZE")
    with mesh.connect_database("partners") as connection:
        connection.execute("ANALYZE")


def build_environment(mesh: Mesh) -> dict[str, str]:
    """Return the environment variables of baseline processes, which use the servers of the mesh."""
    cache = build_memcached_server(mesh.config, mesh.secrets)
    return {
        "BASELINE_DATABASE_URL": mesh.build_database_url("baselines"),
        "BASELINE_BROKER_URL": build_broker_url(mesh.config, mesh.secrets, BROKER_ADMIN),
        "BASELINE_MONGO_URL": build_documents_url(mesh.config, mesh.secrets, "orders"),
        "BASELINE_CACHE": f"{cache.address} {cache.username} {cache.password}",
        "BASELINE_JWKS_URL": f"{mesh.config.sandbox_url}/jwks.json",
    }


@contextmanager
def run_baselines(mesh: Mesh) -> Iterator[dict[str, tuple[str, list[int]]]]:
    """Run all baselines. Yields URL and process ids by name of the baseline."""
    insert_catalog(mesh)
    running = {}
    with ProcessGroup(STATE_DIR / "baselines.log", **build_environment(mesh)) as processes:
        event_pids = [processes.start("bench.baselines.outbox_history", part) for part in ("relay", "consumer")]
        for baseline in list_baselines():
            pids = [processes.start(*command, BASELINE_BACKEND=baseline.backend) for command in baseline.commands]
            url = f"http://127.0.0.1:{baseline.port}"
            wait_until(lambda url=url: is_responding(url), 30, description=baseline.name)  # type: ignore[misc]
            pids += event_pids if baseline.backend else []
            running[baseline.name] = (url, [pid for root in pids for pid in list_process_tree(root)])
        yield running


def is_responding(url: str) -> bool:
    """Return whether an application responds at the URL."""
    try:
        return httpx.get(f"{url}/openapi.json", trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False
