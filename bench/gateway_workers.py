"""Comparison of one and two processes of every service behind its sidecar, on two processors."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from bench import compare_mesh
from bench.compare_mesh import COLD_CATALOG, MESH_NAME, ORDER_FLOW
from bench.load_generator import Target, list_process_tree
from bench.mesh import Mesh
from bench.paths import STATE_DIR
from bench.processes import ProcessGroup
from bench.results import Row, create_informational_row
from deploy.local.infrastructure.envoys import get_bootstrap_path, open_admin_client
from deploy.local.infrastructure.services import build_base_environment, build_service_environment
from deploy.local.mesh_config import SERVICES, MeshConfig
from services.runtime.rpc.health_check import is_serving
from services.runtime.sidecar.unix_sockets import get_unary_socket_path
from tests.wait import wait_until

CONNECTIONS = 32


def add_second_endpoint(config: MeshConfig, name: str, second_socket: Path) -> None:
    """Add a second process to each cluster of the service's process in the rendered bootstrap of its sidecar.

    Raises LookupError if no cluster has the socket of the service.
    """
    first_socket = config.socket_dir / second_socket.name
    second_paths = {
        str(first_socket): str(second_socket),
        str(get_unary_socket_path(first_socket)): str(get_unary_socket_path(second_socket)),
    }
    path = get_bootstrap_path(config, name)
    bootstrap = json.loads(path.read_text(encoding="utf-8"))
    added = 0
    for cluster in bootstrap["static_resources"]["clusters"]:
        endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        address = endpoints[0]["endpoint"]["address"]
        if second_path := second_paths.get(address.get("pipe", {}).get("path")):
            endpoints.append({"endpoint": {"address": {"pipe": {"path": second_path}}}})
            added += 1
    if not added:
        raise LookupError(f"{path} has no cluster with the endpoint {first_socket}")
    path.write_text(json.dumps(bootstrap), encoding="utf-8")


def start_second_worker(mesh: Mesh, processes: ProcessGroup, name: str) -> int:
    """Start a second process of a service and add it to the sidecar. Return the process id."""
    socket_dir = mesh.config.socket_dir / "second"
    socket_dir.mkdir(exist_ok=True)
    sockets = {"SERVICE_SOCKET": str(socket_dir / f"{name}.sock")}
    if name == "gateway":
        sockets["HEALTH_SOCKET"] = str(socket_dir / "gateway-health.sock")
    environment = build_base_environment(mesh.config) | dict(
        build_service_environment(mesh.config, mesh.secrets, name), **sockets
    )
    pid = processes.start(f"services.{name}", "serve", **environment)
    health = sockets.get("HEALTH_SOCKET", sockets["SERVICE_SOCKET"])
    wait_until(lambda: is_serving(f"unix:{health}"), 60, description=f"second process of {name} serves")
    add_second_endpoint(mesh.config, name, Path(sockets["SERVICE_SOCKET"]))
    (previous_pid,) = mesh.list_pids(f"{name}-envoy")[:1]
    os.kill(previous_pid, signal.SIGTERM)  # the supervisor restarts it
    wait_until(
        lambda: not psutil.pid_exists(previous_pid) and _is_sidecar_ready(mesh, name),
        30,
        description=f"sidecar of {name} is ready",
    )
    return pid


def _is_sidecar_ready(mesh: Mesh, name: str) -> bool:
    try:
        with open_admin_client(mesh.config, name) as client:
            return client.get("/ready").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def run(mesh: Mesh, repeats: int, seconds: int) -> list[Row]:
    """Measure catalog and orders with one worker, then with two. Not interleaved, because sidecars are restarted."""
    rows = _measure_rows(mesh, mesh.list_pids, "one worker", repeats, seconds)
    with ProcessGroup(STATE_DIR / "workers.log") as processes:
        pids = [start_second_worker(mesh, processes, name) for name in SERVICES]
        wait_until(lambda: _is_catalog_available(mesh), 30, description="edge serves the catalog")
        second_pids = [pid for root in pids for pid in list_process_tree(root)]
        rows += _measure_rows(mesh, lambda: [*mesh.list_pids(), *second_pids], "two workers", repeats, seconds)
    return rows


def _is_catalog_available(mesh: Mesh) -> bool:
    try:
        headers = {"Authorization": f"Bearer {mesh.get_access_token()}"}
        return httpx.get(f"{mesh.config.edge_url}/api/v1/catalog", headers=headers, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _measure_rows(mesh: Mesh, list_pids: Callable[[], list[int]], label: str, repeats: int, seconds: int) -> list[Row]:
    rows = []
    for workload in (COLD_CATALOG, ORDER_FLOW):
        (default_target,) = compare_mesh.list_targets(mesh, {}, workload)
        target = Target(MESH_NAME, default_target.url, default_target.environment, list_pids)
        samples = compare_mesh.measure_all([target], CONNECTIONS, repeats, seconds)[MESH_NAME]
        name = f"workers: {label} per service, {workload}, {CONNECTIONS} connections"
        rows += [
            create_informational_row(name, [sample.rate for sample in samples], "requests/s"),
            create_informational_row(f"{name}, p99", [sample.p99 for sample in samples], "ms"),
            create_informational_row(f"{name}, CPU", [sample.cpu for sample in samples], "ms/request"),
        ]
    return rows
