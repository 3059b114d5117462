"""`make status` on a mesh that runs: plain where there is no terminal, and true."""

import os
import subprocess
import sys

import httpx

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.supervisor_state import read_supervisor_state
from tests.conftest import ROOT, Mesh


def status(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.local", "status"]
    told = os.environ | {"COLUMNS": "80", **environment}
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False, timeout=60)


def test_the_page_shows_every_process_queue_and_outbox(mesh: Mesh, edge: httpx.Client) -> None:
    edge.get("/catalog")
    shown = status()
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "\x1b" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    report = read_supervisor_state(MeshConfig())
    assert report is not None
    processes, *_ = shown.stdout.split("\noutboxes")
    lines = {line.split()[0]: line.split() for line in processes.splitlines() if line.strip()}
    for child in report.children:
        assert lines[child.name][1] == "ready"
    assert float(lines["gateway-envoy"][-1].replace(",", "")) >= 1
    for name in ("orders.history", "partners.calls", "notifications.requested", "delivery.retry.1s", "outboxes"):
        assert name in shown.stdout


def test_a_mesh_that_does_not_run_is_said_to_be_down(tmp_path: object) -> None:
    shown = status(DELIVERY_STATE=str(tmp_path))
    assert (shown.returncode, shown.stdout) == (1, "the mesh is not running; `make up` starts it\n")
