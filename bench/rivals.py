"""The peers as processes, on the same servers as the mesh."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from sqlalchemy import create_engine, insert

from bench.load import family
from bench.mesh import Mesh, partners, products
from bench.peers.tables import Bank, Base, Offer, Partner, Product
from bench.places import PEERS_FROM, STATE
from bench.processes import Processes
from deploy.local.servers import broker_url
from tests.containers.awaiting import until

UVICORN = ("uvicorn", "--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning", "--host=127.0.0.1")

ORM, RAW = "FastAPI and gRPC, ORM", "FastAPI and gRPC, raw driver"
ONE = "FastAPI, one process, raw driver"
STARLETTE, ENVOY = "Starlette and msgspec, raw driver", "Envoy, a page that it has at hand"
CEILINGS = (STARLETTE, ENVOY)
"""They only show the catalog, and check nothing."""


@dataclass(frozen=True)
class Peer:
    """Its processes, each a command; the last one has the door."""

    name: str
    port: int
    commands: tuple[tuple[str, ...], ...]
    behind: str = ""


def peers() -> Iterator[Peer]:
    """All of them."""
    base = PEERS_FROM
    for number, (name, behind) in enumerate([(ORM, "orm"), (RAW, "raw")]):
        port, back = base + 10 * number, base + 10 * number + 1
        app = (*UVICORN, f"--port={port}", "bench.peers.fastapi_app:app")
        yield Peer(name, port, (("bench.peers.backend", str(back), behind), app), f"127.0.0.1:{back}")
    app = (*UVICORN, f"--port={base + 20}", "bench.peers.fastapi_app:app")
    yield Peer(ONE, base + 20, (app,), "raw")
    yield Peer(STARLETTE, base + 30, ((*UVICORN, f"--port={base + 30}", "bench.peers.ceiling:app"),))
    yield Peer(ENVOY, base + 40, (("bench.peers.direct", str(base + 40)),))


def stock(mesh: Mesh) -> None:
    """The same data as the mesh's."""
    mesh.recreate("peers")
    engine = create_engine(mesh.url("peers").replace("postgresql://", "postgresql+psycopg://"))
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        named = ("id", "title", "brand", "address")
        rows = [dict(zip(named, row, strict=True)) | {"verified": True, "enabled": True} for row in partners()]
        connection.execute(insert(Partner), rows)
        for product, title, description, partner, price in products():
            connection.execute(insert(Product).values(id=product, title=title, description=description))
            offer = {"partner_id": partner, "product_id": product, "price": price, "currency": "USD", "active": True}
            connection.execute(insert(Offer).values(**offer))
        connection.execute(insert(Bank).values(id="visa", webcheckout_url="http://127.0.0.1/checkout", active=True))
    engine.dispose()
    with mesh.database("peers") as connection:
        connection.execute("ANALYZE")
    with mesh.database("partners") as connection:
        connection.execute("ANALYZE")


@contextmanager
def serving(mesh: Mesh) -> Iterator[dict[str, tuple[str, list[int]]]]:
    """By name: a door, and the processes behind it."""
    stock(mesh)
    told = {
        "PEERS_URL": mesh.url("peers"),
        "PEERS_BROKER": broker_url(mesh.state, mesh.secrets, "orders"),
        "PEERS_DOCUMENTS": f"mongodb://{mesh.state.bind}:{mesh.state.port('DOCUMENTS_PORT')}/?directConnection=true",
        "PEERS_CACHE": f"127.0.0.1:{mesh.state.port('MEMCACHED_PORT')}",
        "PEERS_JWKS": f"{mesh.state.sandbox}/jwks.json",
    }
    found = {}
    with Processes(STATE / "peers.log", **told) as processes:
        beside = [processes.start("bench.peers.history", part) for part in ("relay", "consumer")]
        for peer in peers():
            pids = [processes.start(*command, PEERS_BEHIND=peer.behind) for command in peer.commands]
            url = f"http://127.0.0.1:{peer.port}"
            until(peer.name, lambda url=url: _answers(url), 30)  # type: ignore[misc]
            pids += beside if peer.behind else []
            found[peer.name] = (url, [pid for each in pids for pid in family(each)])
        yield found


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/openapi.json", trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False
