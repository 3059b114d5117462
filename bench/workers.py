"""Two processes of every service behind its sidecar, beside one: as many as this machine has processors."""

import os
import signal
from collections.abc import Callable

import httpx
import yaml

from bench import contest
from bench.contest import COLD, MESH, ORDERS
from bench.load import Contender, family
from bench.mesh import Mesh
from bench.places import STATE
from bench.processes import Processes
from bench.results import Row, plain
from deploy.local.envoys import admin
from deploy.local.services import common, environment
from services.runtime.probe import serves
from tests.containers.awaiting import until

SERVICES = ("orders", "partners", "notifications", "gateway")
CONNECTIONS = 32


def beside(mesh: Mesh, processes: Processes, name: str) -> int:
    """Starts a second process of a service, and lets its sidecar know; its id."""
    second = mesh.state.run / "second"
    second.mkdir(exist_ok=True)
    sockets = {"SERVICE_SOCKET": str(second / f"{name}.sock")}
    if name == "gateway":
        sockets["HEALTH_SOCKET"] = str(second / "gateway-health.sock")
    told = {**common(), **environment(mesh.state, mesh.secrets, name), **sockets}
    pid = processes.start(f"services.{name}", "serve", **told)
    health = sockets.get("HEALTH_SOCKET", sockets["SERVICE_SOCKET"])
    until(f"the second {name}", lambda: serves(f"unix:{health}"), 60)
    path = mesh.state.sub("envoy") / f"{name}.yaml"
    bootstrap = yaml.safe_load(path.read_text())
    for cluster in bootstrap["static_resources"]["clusters"]:
        if cluster["name"] == "app":
            endpoint = {"endpoint": {"address": {"pipe": {"path": sockets["SERVICE_SOCKET"]}}}}
            cluster["load_assignment"]["endpoints"][0]["lb_endpoints"].append(endpoint)
    path.write_text(yaml.safe_dump(bootstrap))
    (old,) = mesh.pids(f"{name}-envoy")[:1]
    os.kill(old, signal.SIGTERM)  # the supervisor starts it again
    until(f"the sidecar of {name}", lambda: mesh.pids(f"{name}-envoy")[:1] != [old] and _ready(mesh, name), 30)
    return pid


def _ready(mesh: Mesh, name: str) -> bool:
    try:
        with admin(mesh.state, name) as client:
            return client.get("/ready").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def run(mesh: Mesh, repeats: int, seconds: int) -> list[Row]:
    """Catalog and orders with one, then with two: they cannot take turns, since sidecars start anew in between."""
    rows = _rows(mesh, mesh.pids, "one worker", repeats, seconds)
    with Processes(STATE / "workers.log") as processes:
        pids = [beside(mesh, processes, name) for name in SERVICES]
        until("the edge", lambda: _sells(mesh), 30)
        second = [each for pid in pids for each in family(pid)]
        rows += _rows(mesh, lambda: [*mesh.pids(), *second], "two workers", repeats, seconds)
    return rows


def _sells(mesh: Mesh) -> bool:
    try:
        headers = {"Authorization": f"Bearer {mesh.token()}"}
        return httpx.get(f"{mesh.state.edge}/api/v1/catalog", headers=headers, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _rows(mesh: Mesh, pids: Callable[[], list[int]], named: str, repeats: int, seconds: int) -> list[Row]:
    rows = []
    for what in (COLD, ORDERS):
        (ours, *_) = contest.contenders(mesh, {}, what)
        contender = Contender(MESH, ours.url, ours.told, pids)
        samples = contest.drive_all([contender], CONNECTIONS, repeats, seconds)[MESH]
        about = f"workers: {named} per service, {what}, {CONNECTIONS} connections"
        rows += [
            plain(about, [sample.rate for sample in samples], "requests/s"),
            plain(f"{about}, p99", [sample.p99 for sample in samples], "ms"),
            plain(f"{about}, CPU", [sample.cpu for sample in samples], "ms/request"),
        ]
    return rows
